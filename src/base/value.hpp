// A document tree with positions: what TOML and JSON are read into and JSON is written from.
// Plain data; the formats live in src/format.
#pragma once

#include "base/error.hpp"

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace orch::base {

class Value {
 public:
  using Array = std::vector<Value>;
  struct Member;
  using Object = std::vector<Member>;  // in document order; keys are unique

  // These are not inline: what a variant needs for them is much, and compiled once.
  Value();
  Value(const Value&);
  Value(Value&&) noexcept;
  Value& operator=(const Value&);
  Value& operator=(Value&&) noexcept;
  ~Value();
  Value(std::nullptr_t);
  Value(bool b);
  Value(std::int64_t i);
  Value(int i);
  Value(unsigned i);
  Value(std::uint64_t i);
  Value(double d);
  Value(std::string s);
  Value(std::string_view s);
  Value(const char* s);
  Value(Array a);
  Value(Object o);

  static Value array();
  static Value object();
  static Value object(std::initializer_list<std::pair<std::string, Value>> members);
  static Value strings(const std::vector<std::string>& items);

  bool is_null() const;
  bool is_bool() const;
  bool is_int() const;
  bool is_double() const;
  bool is_string() const;
  bool is_array() const;
  bool is_object() const;

  // Preconditions: the value has that type (checked, also in release builds).
  bool as_bool() const;
  std::int64_t as_int() const;
  double as_double() const;
  const std::string& as_string() const;
  const Array& as_array() const;
  Array& as_array();
  const Object& as_object() const;
  Object& as_object();

  // The member of that name, or nullptr (also where this is no object).
  const Value* find(std::string_view key) const;
  Value* find(std::string_view key);
  // "a.b.c" through nested objects; nullptr where it ends early.
  const Value* find_path(std::string_view dotted) const;
  // Sets or appends a member; makes an object out of null.
  Value& set(std::string key, Value value);
  bool erase(std::string_view key);
  void push(Value value);

  // find() with a default, for documents whose form was checked before.
  std::string string_or(std::string_view key, std::string_view fallback) const;
  std::int64_t int_or(std::string_view key, std::int64_t fallback) const;
  bool bool_or(std::string_view key, bool fallback) const;

  // A text that is equal exactly for equal values, members sorted by name: what keys and identities are made
  // of.
  std::string canonical() const;

  // "string", "integer", "float", "boolean", "array", "table", "null": the words that TOML users know.
  std::string_view type_name() const;

  SourceSpan span;  // where the value stands
  // Set by the loader on strings that name this host (${home}, ${env:…}, ${profile_dir}): they must not enter a
  // key. ${appdir}, which stays as it is until the launch, does not set it.
  bool host_dependent = false;
  // The first part of this value, in order, that is so marked; null if none is.
  const Value* host_dependent_part() const;

  // Compares content, not positions.
  friend bool operator==(const Value& a, const Value& b);

 private:
  std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Object> data_;
};

struct Value::Member {
  std::string key;
  Value value;
  SourceSpan key_span{};
  friend bool operator==(const Member& a, const Member& b);
};

inline Value Value::array() {
  return Value(Array{});
}

inline bool Value::is_null() const {
  return std::holds_alternative<std::monostate>(data_);
}
inline bool Value::is_bool() const {
  return std::holds_alternative<bool>(data_);
}
inline bool Value::is_int() const {
  return std::holds_alternative<std::int64_t>(data_);
}
inline bool Value::is_double() const {
  return std::holds_alternative<double>(data_);
}
inline bool Value::is_string() const {
  return std::holds_alternative<std::string>(data_);
}
inline bool Value::is_array() const {
  return std::holds_alternative<Array>(data_);
}
inline bool Value::is_object() const {
  return std::holds_alternative<Object>(data_);
}
inline bool Value::as_bool() const {
  return std::get<bool>(data_);
}
inline std::int64_t Value::as_int() const {
  return std::get<std::int64_t>(data_);
}
inline double Value::as_double() const {
  return is_int() ? static_cast<double>(as_int()) : std::get<double>(data_);
}
inline const std::string& Value::as_string() const {
  return std::get<std::string>(data_);
}
inline const Value::Array& Value::as_array() const {
  return std::get<Array>(data_);
}
inline Value::Array& Value::as_array() {
  return std::get<Array>(data_);
}
inline const Value::Object& Value::as_object() const {
  return std::get<Object>(data_);
}
inline Value::Object& Value::as_object() {
  return std::get<Object>(data_);
}
// Null where there is none.
Value or_null(const std::string& text);
template <class Item>
Value or_null(const std::optional<Item>& item) {
  return item ? Value(*item) : Value();
}

}  // namespace orch::base
