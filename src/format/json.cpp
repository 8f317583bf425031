#include "format/json.hpp"

#include "base/text.hpp"

#include <fmt/format.h>
#include <rapidjson/document.h>
#include <rapidjson/error/en.h>
#include <rapidjson/prettywriter.h>
#include <rapidjson/reader.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

namespace orch::format {

namespace {

using rapidjson::SizeType;

template <class Writer>
void write_string(Writer& writer, std::string_view bytes) {
  if (base::is_utf8(bytes)) {
    writer.String(bytes.data(), static_cast<SizeType>(bytes.size()));
    return;
  }
  const std::string encoded = base::base64(bytes);
  writer.StartObject();
  writer.Key("base64");
  writer.String(encoded.data(), static_cast<SizeType>(encoded.size()));
  writer.EndObject();
}

template <class Writer>
void write(Writer& writer, const Value& value) {
  if (value.is_bool()) {
    writer.Bool(value.as_bool());
  } else if (value.is_int()) {
    writer.Int64(value.as_int());
  } else if (value.is_double()) {
    writer.Double(value.as_double());
  } else if (value.is_string()) {
    write_string(writer, value.as_string());
  } else if (value.is_array()) {
    writer.StartArray();
    for (const Value& item : value.as_array()) write(writer, item);
    writer.EndArray();
  } else if (value.is_object()) {
    writer.StartObject();
    for (const Value::Member& member : value.as_object()) {
      const std::string key = base::is_utf8(member.key) ? member.key : base::printable(member.key);
      writer.Key(key.data(), static_cast<SizeType>(key.size()));
      write(writer, member.value);
    }
    writer.EndObject();
  } else {
    writer.Null();
  }
}

constexpr std::size_t k_max_depth = 64;

// Builds a Value from parser events; RapidJSON's own tree would be a second copy of the document.
class Builder : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, Builder> {
 public:
  // Stops in front of this member of the outermost object; empty: nowhere.
  explicit Builder(std::string_view last) : last_(last) {}

  bool Null() { return add(Value()); }
  bool Bool(bool b) { return add(Value(b)); }
  bool Int(int i) { return add(Value(i)); }
  bool Uint(unsigned u) { return add(Value(u)); }
  bool Int64(std::int64_t i) { return add(Value(i)); }
  bool Uint64(std::uint64_t u) {
    return u <= static_cast<std::uint64_t>(INT64_MAX) ? add(Value(u)) : add(Value(static_cast<double>(u)));
  }
  bool Double(double d) { return add(Value(d)); }
  bool String(const char* text, SizeType size, bool) { return add(Value(std::string(text, size))); }
  bool StartObject() { return open(Value::object()); }
  bool EndObject(SizeType) { return close(); }
  bool StartArray() { return open(Value::array()); }
  bool EndArray(SizeType) { return close(); }
  bool Key(const char* text, SizeType size, bool) {
    keys_.back().assign(text, size);
    if (open_.size() == 1 && !last_.empty() && keys_.back() == last_) {
      stopped = true;
      result = std::move(open_.front());
      return false;
    }
    if (open_.back().find(keys_.back()) == nullptr) return true;
    problem = fmt::format("the key '{}' stands twice", base::printable(keys_.back()));
    return false;
  }

  Value result;
  std::string problem;
  bool stopped = false;

 private:
  bool add(Value value) {
    if (open_.empty())
      result = std::move(value);
    else if (open_.back().is_array())
      open_.back().as_array().push_back(std::move(value));
    else
      open_.back().as_object().push_back({keys_.back(), std::move(value), {}});
    return true;
  }
  bool open(Value value) {
    if (open_.size() >= k_max_depth) {
      problem = fmt::format("nested more than {} levels deep", k_max_depth);
      return false;
    }
    open_.push_back(std::move(value));
    keys_.emplace_back();
    return true;
  }
  bool close() {
    Value value = std::move(open_.back());
    // What the writer made of bytes that are not UTF-8.
    if (const Value* encoded = value.find("base64");
        encoded != nullptr && encoded->is_string() && value.as_object().size() == 1)
      if (std::optional<std::string> bytes = base::unbase64(encoded->as_string()))
        value = Value(std::move(*bytes));
    open_.pop_back();
    keys_.pop_back();
    return add(std::move(value));
  }

  std::string_view last_;
  std::vector<Value> open_;
  std::vector<std::string> keys_;
};

Result<Value> parse(std::string_view text, std::string_view name, Builder builder) {
  rapidjson::MemoryStream memory(text.data(), text.size());
  rapidjson::EncodedInputStream<rapidjson::UTF8<>, rapidjson::MemoryStream> input(memory);
  rapidjson::Reader reader;
  const rapidjson::ParseResult parsed =
      reader.Parse<rapidjson::kParseValidateEncodingFlag | rapidjson::kParseFullPrecisionFlag |
                   rapidjson::kParseIterativeFlag>(input, builder);
  if (parsed || builder.stopped) return std::move(builder.result);
  const std::string problem =
      builder.problem.empty() ? std::string(rapidjson::GetParseError_En(parsed.Code())) : builder.problem;
  return base::fail(base::ErrorKind::corrupt,
                    fmt::format("'{}' is not the JSON that was expected: {} (at byte {})",
                                base::printable(name), problem, parsed.Offset()));
}

}  // namespace

std::string to_json(const Value& value, JsonStyle style) {
  rapidjson::StringBuffer buffer;
  if (style == JsonStyle::compact) {
    rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
    write(writer, value);
  } else {
    rapidjson::PrettyWriter<rapidjson::StringBuffer> writer(buffer);
    writer.SetIndent(' ', 2);
    write(writer, value);
    buffer.Put('\n');
  }
  return std::string(buffer.GetString(), buffer.GetSize());
}

Result<Value> parse_json(std::string_view text, std::string_view name) {
  return parse(text, name, Builder({}));
}

Result<Value> parse_json_until(std::string_view key, std::string_view text, std::string_view name) {
  return parse(text, name, Builder(key));
}

struct JsonWriter::Impl {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> writer{buffer};
};

JsonWriter::JsonWriter() : impl_(std::make_unique<Impl>()) {}
JsonWriter::~JsonWriter() = default;
void JsonWriter::begin_object() {
  impl_->writer.StartObject();
}
void JsonWriter::end_object() {
  impl_->writer.EndObject();
}
void JsonWriter::begin_array() {
  impl_->writer.StartArray();
}
void JsonWriter::end_array() {
  impl_->writer.EndArray();
}
void JsonWriter::key(std::string_view name) {
  impl_->writer.Key(name.data(), static_cast<SizeType>(name.size()));
}
void JsonWriter::value(std::string_view bytes) {
  write_string(impl_->writer, bytes);
}
void JsonWriter::value(std::int64_t number) {
  impl_->writer.Int64(number);
}
void JsonWriter::value(bool flag) {
  impl_->writer.Bool(flag);
}
void JsonWriter::null() {
  impl_->writer.Null();
}
std::string JsonWriter::take() {
  impl_->buffer.Put('\n');
  return std::string(impl_->buffer.GetString(), impl_->buffer.GetSize());
}

}  // namespace orch::format
