#include "load/merge.hpp"

#include <utility>

namespace orch::load {

namespace {

bool merges(const Schema::Node& node) {
  if (node.key == nullptr) return true;  // one of named tables
  return node.key->type == KeyType::table || node.key->type == KeyType::named_tables ||
         node.key->type == KeyType::text_table;
}

void append(Value& below, const Schema::Node& node, Value items) {
  Value* list = below.find(node.name);
  if (list == nullptr) {
    list = &below.set(std::string(node.name),
                      node.key->fallback == "-" ? Value::array() : default_of(*node.key));
    list->span = items.span;
  }
  for (Value& item : items.as_array()) list->push(std::move(item));
}

void put(Value& below, Value::Member member) {
  if (Value* present = below.find(member.key)) {
    *present = std::move(member.value);
    return;
  }
  below.as_object().push_back(std::move(member));
}

}  // namespace

void merge(Value& below, Value above, const Schema::Node& node) {
  static const Schema::Node k_leaf{};
  for (Value::Member& member : above.as_object()) {
    const Schema::Node* known = node.child(member.key);
    const Schema::Node& child = known == nullptr ? k_leaf : *known;
    if (known != nullptr && known->is_list() && member.key.starts_with('+')) {
      append(below, child, std::move(member.value));
      continue;
    }
    if (known == nullptr || !merges(child) || !member.value.is_object()) {
      put(below, std::move(member));
      continue;
    }
    Value* present = below.find(member.key);
    if (present == nullptr || !present->is_object()) {  // "+key" may stand in a table that is new
      Value empty = Value::object();
      empty.span = member.value.span;
      put(below, {member.key, std::move(empty), member.key_span});
      present = below.find(member.key);
    }
    merge(*present, std::move(member.value), child);
  }
}

}  // namespace orch::load
