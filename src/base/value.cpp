#include "base/value.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace orch::base {

Value::Value() = default;
Value::Value(const Value&) = default;
Value::Value(Value&&) noexcept = default;
Value& Value::operator=(const Value&) = default;
Value& Value::operator=(Value&&) noexcept = default;
Value::~Value() = default;
Value::Value(std::nullptr_t) {}
Value::Value(bool b) : data_(b) {}
Value::Value(std::int64_t i) : data_(i) {}
Value::Value(int i) : data_(std::int64_t{i}) {}
Value::Value(unsigned i) : data_(std::int64_t{i}) {}
Value::Value(std::uint64_t i) : data_(static_cast<std::int64_t>(i)) {}
Value::Value(double d) : data_(d) {}
Value::Value(std::string s) : data_(std::move(s)) {}
Value::Value(std::string_view s) : data_(std::string(s)) {}
Value::Value(const char* s) : data_(std::string(s)) {}
Value::Value(Array a) : data_(std::move(a)) {}
Value::Value(Object o) : data_(std::move(o)) {}

bool operator==(const Value::Member& a, const Value::Member& b) {
  return a.key == b.key && a.value == b.value;
}

bool operator==(const Value& a, const Value& b) {
  return a.data_ == b.data_;
}

Value or_null(const std::string& text) {
  return text.empty() ? Value() : Value(text);
}

Value Value::object() {
  return Value(Object{});
}

Value Value::object(std::initializer_list<std::pair<std::string, Value>> members) {
  Object out;
  out.reserve(members.size());
  for (const auto& [key, value] : members) out.push_back({key, value});
  return Value(std::move(out));
}

Value Value::strings(const std::vector<std::string>& items) {
  Array out;
  out.reserve(items.size());
  for (const std::string& item : items) out.emplace_back(item);
  return Value(std::move(out));
}

const Value* Value::find(std::string_view key) const {
  const Object* members = std::get_if<Object>(&data_);
  if (members == nullptr) return nullptr;
  for (const Member& member : *members)
    if (member.key == key) return &member.value;
  return nullptr;
}

Value* Value::find(std::string_view key) {
  return const_cast<Value*>(std::as_const(*this).find(key));
}

const Value* Value::find_path(std::string_view dotted) const {
  const Value* here = this;
  while (here != nullptr && !dotted.empty()) {
    const std::size_t dot = dotted.find('.');
    here = here->find(dotted.substr(0, dot));
    dotted = dot == std::string_view::npos ? std::string_view{} : dotted.substr(dot + 1);
  }
  return here;
}

Value& Value::set(std::string key, Value value) {
  if (is_null()) data_ = Object{};
  if (Value* present = find(key)) {
    *present = std::move(value);
    return *present;
  }
  Object& members = as_object();
  members.push_back({std::move(key), std::move(value)});
  return members.back().value;
}

bool Value::erase(std::string_view key) {
  if (!is_object()) return false;
  return std::erase_if(as_object(), [&](const Member& member) { return member.key == key; }) > 0;
}

void Value::push(Value value) {
  if (is_null()) data_ = Array{};
  as_array().push_back(std::move(value));
}

std::string Value::string_or(std::string_view key, std::string_view fallback) const {
  const Value* value = find(key);
  return value != nullptr && value->is_string() ? value->as_string() : std::string(fallback);
}

std::int64_t Value::int_or(std::string_view key, std::int64_t fallback) const {
  const Value* value = find(key);
  return value != nullptr && value->is_int() ? value->as_int() : fallback;
}

bool Value::bool_or(std::string_view key, bool fallback) const {
  const Value* value = find(key);
  return value != nullptr && value->is_bool() ? value->as_bool() : fallback;
}

namespace {

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20)
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    else
      out += c;
  }
  out += '"';
}

void append_canonical(std::string& out, const Value& value) {
  if (value.is_string()) {
    append_quoted(out, value.as_string());
  } else if (value.is_bool()) {
    out += value.as_bool() ? "true" : "false";
  } else if (value.is_int()) {
    out += fmt::format("{}", value.as_int());
  } else if (value.is_double()) {
    // The shortest text that reads back as the same number; a float never looks like an integer.
    std::string number = fmt::format("{}", value.as_double());
    if (number.find_first_not_of("-0123456789") == std::string::npos) number += ".0";
    out += number;
  } else if (value.is_array()) {
    out += '[';
    for (const Value& item : value.as_array()) {
      if (&item != value.as_array().data()) out += ',';
      append_canonical(out, item);
    }
    out += ']';
  } else if (value.is_object()) {
    std::vector<const Value::Member*> members;
    for (const Value::Member& member : value.as_object()) members.push_back(&member);
    std::sort(members.begin(), members.end(), [](auto* a, auto* b) { return a->key < b->key; });
    out += '{';
    for (const Value::Member* member : members) {
      if (member != members.front()) out += ',';
      append_quoted(out, member->key);
      out += ':';
      append_canonical(out, member->value);
    }
    out += '}';
  } else {
    out += "null";
  }
}

}  // namespace

const Value* Value::host_dependent_part() const {
  if (host_dependent) return this;
  if (is_array())
    for (const Value& item : as_array())
      if (const Value* found = item.host_dependent_part()) return found;
  if (is_object())
    for (const Member& member : as_object())
      if (const Value* found = member.value.host_dependent_part()) return found;
  return nullptr;
}

std::string Value::canonical() const {
  std::string out;
  append_canonical(out, *this);
  return out;
}

std::string_view Value::type_name() const {
  if (is_bool()) return "boolean";
  if (is_int()) return "integer";
  if (is_double()) return "float";
  if (is_string()) return "string";
  if (is_array()) return "array";
  if (is_object()) return "table";
  return "null";
}

}  // namespace orch::base
