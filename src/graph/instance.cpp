#include "graph/instance.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace orch::graph {

using base::Error;
using base::ErrorKind;
using base::fail;
using base::Value;
using model::Rule;

std::string bind_place(const Instance& instance, std::string_view place) {
  if (instance.item && place.starts_with("item."))
    return fmt::format("{}[{}].{}", instance.rule->for_each, *instance.item, place.substr(5));
  return std::string(place);
}

std::vector<std::string> bind_list(const Instance& instance, const Value& profile, std::string_view place) {
  std::vector<std::string> out;
  const std::size_t brackets = place.find("[]");
  if (brackets == std::string_view::npos) return out;
  const bool below = place.substr(0, brackets) == "below";
  if (below && !instance.item) return out;
  const std::string list_place(below ? std::string_view(instance.rule->for_each) : place.substr(0, brackets));
  const Value* list = value_at(profile, list_place);
  if (list == nullptr || !list->is_array()) return out;
  const std::size_t count = below ? *instance.item : list->as_array().size();
  for (std::size_t i = 0; i < count; ++i)
    out.push_back(fmt::format("{}[{}]{}", list_place, i, place.substr(brackets + 2)));
  return out;
}

const Value* value_at(const Value& profile, std::string_view place) {
  const Value* here = &profile;
  while (!place.empty() && here != nullptr) {
    const std::size_t end = place.find_first_of(".[");
    here = here->find(place.substr(0, end));
    if (end == std::string_view::npos) return here;
    if (place[end] == '.') {
      place.remove_prefix(end + 1);
      continue;
    }
    std::size_t index = 0;
    const std::size_t close = place.find(']', end);
    if (close == std::string_view::npos || here == nullptr || !here->is_array()) return nullptr;
    std::from_chars(place.data() + end + 1, place.data() + close, index);
    if (index >= here->as_array().size()) return nullptr;
    here = &here->as_array()[index];
    place.remove_prefix(close + 1);
    if (place.starts_with('.')) place.remove_prefix(1);
  }
  return here;
}

namespace {

std::string text_of(const Value& value) {
  return value.is_string() ? value.as_string() : value.canonical();
}

bool provides(const Bindings& bindings, const std::string& place) {
  for (const Instance& instance : bindings.instances)
    if (std::find(instance.places.begin(), instance.places.end(), place) != instance.places.end())
      return true;
  return false;
}

// Whether the conditions hold; `present` decides what "*" means for a place without a value, or with an empty list.
template <class Present>
bool applies(const Bindings& bindings, const Instance& instance, Present present) {
  for (const auto& [place, wanted] : instance.rule->when) {
    const std::string bound = bind_place(instance, place);
    const Value* value = value_at(bindings.profile, bound);
    const bool any = std::find(wanted.begin(), wanted.end(), "*") != wanted.end();
    if (value == nullptr || value->is_null() || (value->is_array() && value->as_array().empty())) {
      if (!any || !present(bound)) return false;
      continue;
    }
    if (!any && std::find(wanted.begin(), wanted.end(), text_of(*value)) == wanted.end()) return false;
  }
  return true;
}

constexpr std::string_view k_new_layer = "layers+";

bool makes_layer(const Rule& rule) {
  return std::any_of(rule.outputs.begin(), rule.outputs.end(),
                     [](const model::RuleOutput& output) { return output.provides == k_new_layer; });
}

// A layer of their own for the outputs that provide "layers+": on top, but below what finishes the stack.
// Returns its index.
std::size_t insert_layer(Value& profile, const Rule& rule, const model::RuleOutput& output) {
  Value* layers = profile.find("layers");
  if (layers == nullptr) layers = &profile.set("layers", Value::array());
  Value::Array& list = layers->as_array();
  auto at = list.end();
  while (at != list.begin() && std::prev(at)->string_or("role", "") == "finish") --at;
  const auto index = static_cast<std::size_t>(at - list.begin());
  list.insert(at, Value::object({{"name", rule.id + "." + output.name}, {"role", "step"}, {"kind", "step"}}));
  return index;
}

void add_instance(Bindings& bindings, Instance instance,
                  const std::map<const Rule*, std::vector<std::string>>& made) {
  const auto layers = made.find(instance.rule);
  std::size_t next = 0;
  for (const model::RuleOutput& output : instance.rule->outputs) {
    if (output.provides == k_new_layer)
      instance.places.push_back(layers->second.at(next++));
    else
      instance.places.push_back(bind_place(instance, output.provides));
  }
  bindings.instances.push_back(std::move(instance));
}

Result<> add_instances(Bindings& bindings, const Rule& rule,
                       const std::map<const Rule*, std::vector<std::string>>& made) {
  if (rule.for_each.empty()) {
    add_instance(bindings, {&rule, std::nullopt, {}, {}}, made);
    return {};
  }
  const Value* list = value_at(bindings.profile, rule.for_each);
  if (list == nullptr || list->is_null()) return {};
  if (!list->is_array())
    return fail(Error(ErrorKind::profile,
                      fmt::format("rule '{}' goes over '{}', which is no list", rule.id, rule.for_each))
                    .at(rule.span));
  for (std::size_t i = 0; i < list->as_array().size(); ++i)
    add_instance(bindings, {&rule, i, list->as_array()[i].string_or("name", std::to_string(i)), {}}, made);
  return {};
}

bool takes(const Instance& instance, const std::string& place) {
  for (const model::RuleInput& input : instance.rule->inputs)
    if (!input.value.empty() && bind_place(instance, input.value) == place) return true;
  return false;
}

Error provided_twice(const std::string& place, const model::RuleOutput& first,
                     const model::RuleOutput& second, const Instance& a, const Instance& b) {
  Error error(ErrorKind::profile,
              fmt::format("'{}' is provided by two steps: '{}' and '{}'", place, a.rule->id, b.rule->id),
              "let one of them take it as an input too, then it is put behind the other; or drop one");
  error.where = second.span;
  error.related.emplace_back(fmt::format("'{}' provides it here", a.rule->id), first.span);
  return error;
}

Result<> order_providers(Bindings& bindings, const std::string& place, std::vector<Provider>& list) {
  const auto is_source = [&](const Provider& provider) {
    return !takes(bindings.instances[provider.instance], place);
  };
  std::stable_partition(list.begin(), list.end(), is_source);
  const auto output_of = [&](const Provider& provider) -> const model::RuleOutput& {
    return bindings.instances[provider.instance].rule->outputs[provider.output];
  };
  if (list.size() > 1 && is_source(list[1]))
    return fail(provided_twice(place, output_of(list[0]), output_of(list[1]),
                               bindings.instances[list[0].instance], bindings.instances[list[1].instance]));
  const Value* given = value_at(bindings.profile, place);
  if (given != nullptr && !given->is_null() && is_source(list[0])) {
    Error error(ErrorKind::profile,
                fmt::format("'{}' is given in the profile, and step '{}' provides it too", place,
                            bindings.instances[list[0].instance].rule->id),
                "drop one of them, or let the step take it as an input too");
    error.where = output_of(list[0]).span;
    error.related.emplace_back("given here", given->span);
    return fail(std::move(error));
  }
  return {};
}

// The rules that make layers come first: other rules go over the layers that they make.
Result<Bindings> bind_once(const model::Profile& profile, const std::vector<const Rule*>& rules) {
  Bindings bindings;
  bindings.profile = profile.value;
  std::map<const Rule*, std::vector<std::string>> made;
  for (const Rule* rule : rules) {
    if (!makes_layer(*rule)) continue;
    for (const model::RuleOutput& output : rule->outputs)
      if (output.provides == k_new_layer)
        made[rule].push_back(fmt::format("layers[{}].image", insert_layer(bindings.profile, *rule, output)));
  }
  for (const Rule* rule : rules) ORCH_CHECK(add_instances(bindings, *rule, made));
  // First drop what cannot apply whatever others provide, then what waits in vain for somebody to provide
  // something.
  std::erase_if(bindings.instances, [&](const Instance& instance) {
    return !applies(bindings, instance, [](const std::string&) { return true; });
  });
  const auto unprovided = [&](const Instance& instance) {
    return !applies(bindings, instance, [&](const std::string& place) { return provides(bindings, place); });
  };
  while (true) {
    const auto first = std::find_if(bindings.instances.begin(), bindings.instances.end(), unprovided);
    if (first == bindings.instances.end()) break;
    bindings.instances.erase(first);
  }
  return bindings;
}

}  // namespace

Result<Bindings> bind_rules(const model::Profile& profile, const std::vector<const Rule*>& given) {
  std::vector<const Rule*> rules = given;
  for (const Rule& rule : profile.steps) rules.push_back(&rule);
  Bindings bindings;
  while (true) {
    ORCH_TRY(bindings, bind_once(profile, rules));
    // A rule that makes a layer and does not apply leaves none behind: once more without it.
    const auto idle = std::find_if(rules.begin(), rules.end(), [&](const Rule* rule) {
      return makes_layer(*rule) &&
             std::none_of(bindings.instances.begin(), bindings.instances.end(),
                          [&](const Instance& instance) { return instance.rule == rule; });
    });
    if (idle == rules.end()) break;
    rules.erase(idle);
  }
  for (std::size_t i = 0; i < bindings.instances.size(); ++i)
    for (std::size_t k = 0; k < bindings.instances[i].places.size(); ++k)
      if (const std::string& place = bindings.instances[i].places[k]; !place.empty())
        bindings.providers[place].push_back({i, k});
  for (auto& [place, list] : bindings.providers) ORCH_CHECK(order_providers(bindings, place, list));
  return bindings;
}

}  // namespace orch::graph
