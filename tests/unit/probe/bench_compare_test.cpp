#include "probe/bench_compare.hpp"

#include "base/text.hpp"
#include "format/json.hpp"
#include "support/golden.hpp"
#include "support/made_up_bench.hpp"

using namespace orch::probe;
using namespace orch::test;
using Names = std::vector<std::string>;
using orch::base::ErrorKind;

namespace {

const Seconds k_quick = {1.0, 1.01, 0.99, 1.0, 1.0};
const Seconds k_slow = {1.1, 1.11, 1.09, 1.1, 1.1};

Value compared(const Value& a, const Value& b) {
  Result<Value> comparison = compare_benches(a, b, "a.json", "b.json");
  REQUIRE(comparison);
  return *comparison;
}

Value compared(const Seconds& a, const Seconds& b) {
  return compared(made_up_bench({made_up_result("", "warm", a)}),
                  made_up_bench({made_up_result("", "warm", b)}));
}

const Value& pair_of(const Value& comparison, std::size_t index = 0) {
  return comparison.find("pairs")->as_array()[index];
}

Names fields_of(const Value& comparison) {
  Names out;
  for (const Value& item : comparison.find("differences")->as_array())
    out.push_back(item.string_or("field", ""));
  return out;
}

// What a later benchmark of the usual one's profile may look like: all that a comparison has to say is in it.
Value later_bench() {
  Value bench = made_up_bench({made_up_result("venus", "warm", {1.25, 1.26, 1.24, 1.25, 1.25, 1.25}),
                               made_up_result("venus", "cold", {2.0, 2.01, 2.02, 2.0, 2.0, std::nullopt}),
                               made_up_result("drm", "warm", {}),
                               made_up_result("drm", "cold", {2.0, 2.02, 1.99, 2.01, 2.0, 2.0}),
                               made_up_result("LIBGL_ALWAYS_SOFTWARE=1", "warm", {3.0, 3.0, 3.0})});
  bench.find("results")->as_array()[2].set(
      "given_up", "its warm-up did not get ready: the log never said 'ready' in 60 s");
  bench.set("ready", "window:A class of windows with a name that needs more than half of a line");
  bench.set("timeout_seconds", 30.0);
  bench.set("host", Value::object({{"kernel", "6.2"}, {"cpus", 8}, {"boot_id", "two"}, {"soc", "t8103"}}));
  return bench;
}

}  // namespace

TEST_CASE("the documents, and their text of at most 80 columns") {
  const Value comparison = compared(usual_bench(), later_bench());
  check_golden("bench/compare.json", orch::format::to_json(comparison));
  const std::string text = compare_text(comparison);
  check_golden("bench/compare.txt", text);
  for (const std::string_view line : orch::base::split(text, '\n')) CHECK(line.size() <= 80);
}

TEST_CASE("a name that is longer than its column has a line of its own") {
  const std::string name = "LIBGL_ALWAYS_SOFTWARE=1";
  const Value one = made_up_bench(
      {made_up_result(name, "cold", k_quick), made_up_result(name + std::string(90, 'x'), "cold", k_quick)});
  const std::string text = compare_text(compared(one, one));
  CHECK(text.find("\n  " + name + "\n                    cold   1.000 s") != std::string::npos);
  CHECK(text.find("x...\n") != std::string::npos);
  for (const std::string_view line : orch::base::split(text, '\n')) CHECK(line.size() <= 80);
}

TEST_CASE("ten percent are slower, and the other way round faster") {
  const Value slower = compared(k_quick, k_slow);
  CHECK(pair_of(slower).string_or("verdict", "") == "slower");
  CHECK(pair_of(slower).find("ratio")->as_double() == doctest::Approx(1.1));
  CHECK(pair_of(slower).find("reason")->is_null());
  CHECK(pair_of(slower).find_path("interval.low")->as_double() > 1.07);
  CHECK(pair_of(slower).find_path("a.median")->as_double() == 1);
  CHECK(pair_of(slower).find_path("b.count")->as_int() == 5);
  CHECK(regressions_of(slower, 9.9) == Names{"warm: it takes 1.100 times as long"});
  CHECK(regressions_of(slower, 10.1).empty());
  const Value faster = compared(k_slow, k_quick);
  CHECK(pair_of(faster).string_or("verdict", "") == "faster");
  CHECK(regressions_of(faster, 0).empty());
  const Value same = compared(k_quick, k_quick);
  CHECK(pair_of(same).string_or("verdict", "") == "no difference");
  CHECK(regressions_of(same, 0).empty());
  CHECK(doubts_of(same, 0).empty());
}

TEST_CASE("an interval that is too wide says nothing, and what it cannot exclude is told") {
  const Seconds wide = {1.0, 1.3, 0.9, 1.4, 1.0, 1.2};
  const Value comparison = compared(k_quick, wide);
  CHECK(pair_of(comparison).string_or("verdict", "") == "unknown");
  CHECK(pair_of(comparison).find_path("interval.high")->as_double() > 1.2);
  const std::string reason = pair_of(comparison).string_or("reason", "");
  CHECK(reason.ends_with(" is too wide to tell: more starts make it narrower"));
  CHECK(compare_text(comparison).find(reason) != std::string::npos);
  CHECK(regressions_of(comparison, 0).empty());
  CHECK(doubts_of(comparison, 10) == Names{"warm: " + reason});
  CHECK(doubts_of(comparison, 60).empty());
}

TEST_CASE("what CI is to stop at beside slower starts") {
  const auto first = [](const Value& comparison) {
    const Names all = regressions_of(comparison, 1000);
    return all.empty() ? std::string() : all.front();
  };
  const Seconds six = {1.0, 1.0, 1.0, 1.0, 1.0, 1.0};
  const Seconds half = {1.0, std::nullopt, 1.0, std::nullopt, 1.0, std::nullopt};
  CHECK(first(compared(six, half)) == "warm: 3 of 6 starts got ready, before 6 of 6");
  CHECK(first(compared(half, six)) ==
        "warm: it cannot be compared: a has 3 successful runs, and 5 are needed");
  CHECK(first(compared(six, {})) == "warm: 0 of 0 starts got ready, before 6 of 6");
  CHECK(first(compared(half, half)) ==
        "warm: it cannot be compared: a has 3 successful runs, and 5 are needed");
  const Value both = made_up_bench({made_up_result("a", "warm", six), made_up_result("b", "warm", six)});
  const Value one = made_up_bench({made_up_result("b", "warm", six), made_up_result("c", "warm", six)});
  CHECK(regressions_of(compared(both, one), 1000) == Names{"a, warm: b has none"});
}

TEST_CASE("failed runs are not compared, but counted") {
  const Value comparison = compared({1.0, std::nullopt, 1.0, 1.0, 1.0, 1.0}, {1.0, 1.0, 1.0, 1.0, 1.0});
  CHECK(pair_of(comparison).string_or("verdict", "") == "no difference");
  CHECK(pair_of(comparison).find_path("a.count")->as_int() == 5);
  CHECK(pair_of(comparison).find_path("a.runs")->as_int() == 6);
  CHECK(compare_text(comparison).find("a: 1 of 6 runs did not get ready") != std::string::npos);
}

TEST_CASE("where nothing can be said, the reason is") {
  const auto reason = [](const Seconds& a, const Seconds& b) {
    const Value comparison = compared(a, b);
    CHECK(pair_of(comparison).string_or("verdict", "") == "unknown");
    CHECK(pair_of(comparison).find("ratio")->is_null());
    CHECK(pair_of(comparison).find("interval")->is_null());
    CHECK(regressions_of(comparison, 900).size() == 1);
    return pair_of(comparison).string_or("reason", "");
  };
  CHECK(reason({1.0, 1.0}, k_slow) == "a has 2 successful runs, and 5 are needed");
  CHECK(reason(k_quick, {1.0}) == "b has 1 successful run, and 5 are needed");
  CHECK(reason(k_quick, {std::nullopt}) == "b has 0 successful runs, and 5 are needed");
  CHECK(reason(k_quick, {}) == "b was stopped before such a start");
  CHECK(reason({0.0, 0.0, 0.0, 0.0, 0.0}, k_slow) == "the median of a is 0");
}

TEST_CASE("variants that are alone belong together, whatever their names are") {
  const Value a =
      made_up_bench({made_up_result("drm", "cold", k_quick), made_up_result("drm", "warm", k_quick)});
  const Value b = made_up_bench({made_up_result("venus", "warm", k_slow)});
  const Value comparison = compared(a, b);
  REQUIRE(comparison.find("pairs")->as_array().size() == 1);
  CHECK(pair_of(comparison).string_or("variant", "") == "drm");
  CHECK(pair_of(comparison).string_or("start", "") == "warm");
  CHECK(fields_of(comparison) == Names{"variant"});
  const Value::Array& unmatched = comparison.find("unmatched")->as_array();
  REQUIRE(unmatched.size() == 1);
  CHECK(unmatched[0] == Value::object({{"in", "a"}, {"variant", "drm"}, {"start", "cold"}}));
}

TEST_CASE("nothing in common is an error that lists both") {
  const Value a =
      made_up_bench({made_up_result("drm", "warm", k_quick), made_up_result("venus", "warm", k_quick)});
  const Value b =
      made_up_bench({made_up_result("", "warm", k_quick), made_up_result("software", "cold", k_quick)});
  const Result<Value> comparison = compare_benches(a, b, "a.json", "b.json");
  REQUIRE_FALSE(comparison);
  CHECK(comparison.error().kind == ErrorKind::usage);
  check_golden("bench/nothing-in-common.txt", render(comparison.error()));
  const Result<Value> with_nothing = compare_benches(a, Value(), "a.json", "b.json");
  REQUIRE_FALSE(with_nothing);
  CHECK(with_nothing.error().what.ends_with("the other nothing"));
}

TEST_CASE("what makes them less comparable; another boot does not") {
  Value other = usual_bench();
  CHECK(fields_of(compared(usual_bench(), other)).empty());
  other.find("host")->set("boot_id", "two");
  other.set("started", "2026-02-02T03:04:05.000Z");
  other.set("seed", 8);
  CHECK(fields_of(compared(usual_bench(), other)).empty());
  other.set("profile", "other");
  other.set("command", "true");
  other.set("launcher", "native");
  other.set("warmup", 0);
  other.find("page_cache")->set("method", "none");
  other.find("host")->set("cpus", 4);
  CHECK(fields_of(compared(usual_bench(), other)) ==
        Names{"profile", "command", "launcher", "warmup", "page_cache.method", "host.cpus"});
}
