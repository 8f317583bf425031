#include "evidence/compare.hpp"

#include "format/json.hpp"

#include <doctest/doctest.h>

using namespace orch;
using base::Value;
using evidence::compare;
using evidence::only_equal;

namespace {

// "FIELD: A -> B" of each difference.
std::string differences(const std::string& a, const std::string& b,
                        const evidence::SameText& same = only_equal) {
  const auto compact = [](const Value& value) {
    std::string text = format::to_json(value, format::JsonStyle::compact);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  };
  std::string out;
  for (const evidence::Difference& item :
       compare(*format::parse_json(a, "a"), *format::parse_json(b, "b"), "", same))
    out += item.field + ": " + compact(item.a) + " -> " + compact(item.b) + "\n";
  return out;
}

}  // namespace

TEST_CASE("objects are compared by key; null is absent, and numbers are their values") {
  CHECK(differences(R"({"a": 1, "b": {"c": "x"}, "n": null})", R"({"b": {"c": "x"}, "a": 1.0})").empty());
  CHECK(differences(R"({"a": 1, "b": {"c": "x", "d": true}})", R"({"a": 2, "b": {"c": "y", "e": []}})") ==
        "a: 1 -> 2\nb.c: \"x\" -> \"y\"\nb.d: true -> null\nb.e: null -> []\n");
  CHECK(differences(R"({"a": "1"})", R"({"a": 1})") == "a: \"1\" -> 1\n");
  CHECK(differences(R"({"a": true})", R"({"a": 1})") == "a: true -> 1\n");
}

TEST_CASE("an item that is gone from a list is one difference") {
  CHECK(differences(R"({"l": ["a", "b", "c", "d"]})", R"({"l": ["b", "c", "d"]})") ==
        "l[0]: \"a\" -> null\n");
  CHECK(differences(R"({"l": ["b", "d"]})", R"({"l": ["b", "c", "d"]})") == "l[1]: null -> \"c\"\n");
  CHECK(differences(R"({"l": ["a", "b", "c"]})", R"({"l": ["a", "x", "c", "y"]})") ==
        "l[1]: \"b\" -> \"x\"\nl[3]: null -> \"y\"\n");
  CHECK(differences(R"({"l": ["a", "a"]})", R"({"l": ["a"]})") == "l[1]: \"a\" -> null\n");
}

TEST_CASE("items with names are compared by name") {
  CHECK(differences(R"({"l": [{"name": "a", "x": 1}, {"name": "b", "x": 2}]})",
                    R"({"l": [{"name": "b", "x": 3}]})") ==
        "l[a]: {\"name\":\"a\",\"x\":1} -> null\nl[b].x: 2 -> 3\n");
}

TEST_CASE("of several items of one name the one that is gone is named") {
  CHECK(differences(
            R"({"l": [{"role": "deps", "d": "1"}, {"role": "deps", "d": "2"}, {"role": "deps", "d": "3"}]})",
            R"({"l": [{"role": "deps", "d": "1"}, {"role": "deps", "d": "3"}]})") ==
        "l[deps 2]: {\"role\":\"deps\",\"d\":\"2\"} -> null\n");
}

TEST_CASE("items that changed places are a difference of the order") {
  CHECK(differences(R"({"l": [{"role": "base"}, {"role": "gpu"}, {"role": "deps"}]})",
                    R"({"l": [{"role": "base"}, {"role": "deps"}, {"role": "gpu"}]})") ==
        "l.order: [\"base\",\"gpu\",\"deps\"] -> [\"base\",\"deps\",\"gpu\"]\n");
}

TEST_CASE("texts may mean the same") {
  const auto same = [](const std::string& field, const std::string& a, const std::string& b) {
    return field == "l" && a[0] == b[0];
  };
  CHECK(differences(R"({"l": ["a1", "b"], "m": "a1"})", R"({"l": ["a2", "c"], "m": "a2"})", same) ==
        "l[1]: \"b\" -> \"c\"\nm: \"a1\" -> \"a2\"\n");
}

TEST_CASE("lists that are too long to be aligned are still compared") {
  std::string a = "{\"l\": [";
  std::string b = a;
  for (int i = 0; i < 3000; ++i) {
    a += std::to_string(2 * i) + ",";
    b += std::to_string(2 * i + 1) + ",";
  }
  const std::string out = differences(a + "0]}", b + "0]}");
  CHECK(std::count(out.begin(), out.end(), '\n') == 3000);
}
