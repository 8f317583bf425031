// JSON to and from base::Value, and a streaming writer for large documents. The only user of RapidJSON.
#pragma once

#include "base/result.hpp"
#include "base/value.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace orch::format {

using base::Result;
using base::Value;

enum class JsonStyle { compact, pretty };

// Strings that are not UTF-8 are written as {"base64": "…"}. Pretty: two spaces, ends with a newline.
std::string to_json(const Value& value, JsonStyle style = JsonStyle::pretty);

// Depth is bounded (64). Duplicate keys are an error. {"base64": "…"} is read as the bytes it stands for.
// `name` is used in messages.
Result<Value> parse_json(std::string_view text, std::string_view name);

// The members of the outermost object in front of `key`, as far as there is one; it and what follows are not looked at.
Result<Value> parse_json_until(std::string_view key, std::string_view text, std::string_view name);

// For documents of many thousand records, where a tree would be waste. Calls must nest properly.
class JsonWriter {
 public:
  JsonWriter();
  ~JsonWriter();
  JsonWriter(const JsonWriter&) = delete;
  JsonWriter& operator=(const JsonWriter&) = delete;
  void begin_object();
  void end_object();
  void begin_array();
  void end_array();
  void key(std::string_view name);
  void value(std::string_view bytes);  // as in to_json: base64 where not UTF-8
  void value(std::int64_t number);
  void value(bool flag);
  void null();
  std::string take();  // the document, compact, with a newline at its end

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace orch::format
