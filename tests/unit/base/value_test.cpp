#include "base/value.hpp"

#include <doctest/doctest.h>

#include <string>

using orch::base::Value;

TEST_SUITE("base/value") {
  TEST_CASE("members keep their order, and set replaces in place") {
    Value value;
    value.set("b", 1);
    value.set("a", "x");
    value.set("b", true);
    REQUIRE(value.as_object().size() == 2);
    CHECK(value.as_object()[0].key == "b");
    CHECK(value.find("b")->as_bool());
    CHECK(value.erase("b"));
    CHECK_FALSE(value.erase("b"));
    CHECK(value.find("b") == nullptr);
  }

  TEST_CASE("a path leads through tables and ends where they do") {
    const Value value = Value::object({{"a", Value::object({{"b", Value::object({{"c", 7}})}})}});
    CHECK(value.find_path("a.b.c")->as_int() == 7);
    CHECK(value.find_path("a.x.c") == nullptr);
    CHECK(value.find_path("a.b.c.d") == nullptr);
    CHECK(Value(3).find("a") == nullptr);
  }

  TEST_CASE("defaults stand in for what is absent or of another type") {
    const Value value = Value::object({{"s", "x"}, {"i", 5}, {"b", true}});
    CHECK(value.string_or("s", "y") == "x");
    CHECK(value.string_or("i", "y") == "y");
    CHECK(value.int_or("i", 1) == 5);
    CHECK(value.int_or("none", 1) == 1);
    CHECK(value.bool_or("b", false));
    CHECK_FALSE(value.bool_or("s", false));
  }

  TEST_CASE("the canonical text is equal exactly for equal values") {
    const Value one = Value::object({{"a", 1}, {"b", Value::strings({"x", "y"})}});
    const Value other_order = Value::object({{"b", Value::strings({"x", "y"})}, {"a", 1}});
    CHECK(one.canonical() == other_order.canonical());
    const Value values[] = {Value(),
                            false,
                            0,
                            0.0,
                            "",
                            "0",
                            Value::array(),
                            Value::object(),
                            Value::strings({"ab"}),
                            Value::strings({"a", "b"}),
                            Value::strings({"a", "", "b"}),
                            Value::object({{"a", "b"}}),
                            Value::object({{"ab", ""}})};
    for (const Value& a : values)
      for (const Value& b : values) CHECK((&a == &b) == (a.canonical() == b.canonical()));
  }

  TEST_CASE("comparing looks at content, not at places") {
    Value a("x");
    Value b("x");
    b.span.line = 7;
    b.host_dependent = true;
    CHECK(a == b);
    CHECK_FALSE(a == Value("y"));
  }
}
