// JSON in both directions, and what must not be accepted.
#include "format/json.hpp"

#include <doctest/doctest.h>

using namespace orch;
using base::Value;

TEST_SUITE("json") {
  TEST_CASE("what was written is read back") {
    const Value value = Value::object({{"text", "ä\n\"\\"},
                                       {"number", std::int64_t{-9007199254740993}},
                                       {"real", 0.5},
                                       {"flag", true},
                                       {"nothing", Value()},
                                       {"list", Value(Value::Array{1, "two", Value::object()})}});
    for (const format::JsonStyle style : {format::JsonStyle::compact, format::JsonStyle::pretty}) {
      const auto back = format::parse_json(format::to_json(value, style), "test");
      REQUIRE(back);
      CHECK(*back == value);
    }
  }

  TEST_CASE("bytes that are not UTF-8 become base64") {
    CHECK(format::to_json(Value("\xff\x00x"), format::JsonStyle::compact) == R"({"base64":"/w=="})");
    CHECK(format::to_json(Value("ok"), format::JsonStyle::compact) == R"("ok")");
  }

  TEST_CASE("malformed documents are errors that name the document") {
    for (const char* text : {"", "{", "[1,]", "{\"a\":1,\"a\":2}", "nul", "\"\xff\"", "{} {}", "01"}) {
      const auto value = format::parse_json(text, "the file");
      REQUIRE_FALSE(value);
      CHECK(value.error().what.find("'the file'") == 0);
      CHECK(value.error().kind == base::ErrorKind::corrupt);
    }
  }

  TEST_CASE("what is in front of a member") {
    const auto until = [](const char* text) {
      const auto value = format::parse_json_until("files", text, "test");
      return value ? format::to_json(*value, format::JsonStyle::compact) : value.error().what;
    };
    CHECK(until(R"({"a": {"files": 1}, "b": [2], "files": [1, 2], "c": 3})") ==
          R"({"a":{"files":1},"b":[2]})");
    CHECK(until(R"({"files": nothing)") == "{}");
    CHECK(until(R"({"a": 1})") == R"({"a":1})");
    CHECK(until(R"(["files"])") == R"(["files"])");
    CHECK(until(R"({"a": [, "files": 1})").find("'test' is not the JSON") == 0);
  }

  TEST_CASE("depth is bounded") {
    CHECK(format::parse_json(std::string(60, '[') + std::string(60, ']'), "deep"));
    CHECK_FALSE(format::parse_json(std::string(100000, '['), "too deep"));
  }

  TEST_CASE("the streaming writer makes the same documents") {
    format::JsonWriter writer;
    writer.begin_object();
    writer.key("a");
    writer.begin_array();
    writer.value(std::int64_t{1});
    writer.value(true);
    writer.null();
    writer.value(std::string_view("\xfe"));
    writer.end_array();
    writer.end_object();
    CHECK(writer.take() == "{\"a\":[1,true,null,{\"base64\":\"/g==\"}]}\n");
  }
}
