#include "probe/bench_export.hpp"

#include "format/json.hpp"
#include "support/golden.hpp"
#include "support/made_up_bench.hpp"

using namespace orch::probe;
using namespace orch::test;

namespace {

const Value::Array& results_in(const Value& exported) {
  return exported.find("results")->as_array();
}

}  // namespace

TEST_CASE("the layout of hyperfine") {
  check_golden("bench/bench.json", orch::format::to_json(usual_bench()));
  check_golden("bench/hyperfine.json", orch::format::to_json(hyperfine_export(usual_bench())));
}

TEST_CASE("times and exit codes are those of the successful runs, one for one") {
  const Value exported = hyperfine_export(usual_bench());
  const Value& warm = results_in(exported)[1];
  CHECK(warm.string_or("command", "") == "hello (drm, warm)");
  CHECK(warm.find("times")->as_array().size() == 5);
  CHECK(warm.find("exit_codes")->as_array() == Value::Array{0, 0, 0, 0, 0});
  CHECK(warm.find("user")->is_null());
  CHECK(warm.find("system")->is_null());
}

TEST_CASE("a run that got ready and failed nevertheless has no time") {
  Value bench = made_up_bench({made_up_result("", "cold", {1.5, 2.5})});
  bench.find("results")->as_array()[0].find("runs")->as_array()[0].set("ok", false);
  const Value exported = hyperfine_export(bench);
  CHECK(results_in(exported)[0].find("times")->as_array() == Value::Array{2.5});
}

TEST_CASE("one run has no deviation; what never got ready is left out; a command is named") {
  Value bench =
      made_up_bench({made_up_result("", "cold", {1.5}), made_up_result("", "warm", {std::nullopt})});
  bench.set("command", "glxinfo -B");
  const Value exported = hyperfine_export(bench);
  REQUIRE(results_in(exported).size() == 1);
  CHECK(results_in(exported)[0].string_or("command", "") == "glxinfo -B (cold)");
  CHECK(results_in(exported)[0].find("stddev")->is_null());
  CHECK(results_in(exported)[0].find("parameters")->as_object().size() == 1);
  CHECK(results_in(exported)[0].find("parameters")->string_or("start", "") == "cold");
}

TEST_CASE("parameters are what the starts differ in, by the names that they have where they are set") {
  const auto parameters = [](const Value& bench) {
    const Value exported = hyperfine_export(bench);
    const Value* found = results_in(exported)[0].find("parameters");
    return found == nullptr ? "none" : orch::format::to_json(*found, orch::format::JsonStyle::compact);
  };
  CHECK(parameters(made_up_bench({made_up_result("", "warm", {1.5})})) == "none");
  CHECK(parameters(made_up_bench({made_up_result("T=1=2", "warm", {1.5}),
                                  made_up_result("T=", "warm", {1.5})})) == R"({"T":"1=2"})");
  CHECK(parameters(made_up_bench(
            {made_up_result("drm", "warm", {1.5}), made_up_result("drm", "cold", {std::nullopt})})) ==
        R"({"gpu_mode":"drm","start":"warm"})");
}

TEST_CASE("a document that is no benchmark has no results") {
  CHECK(results_in(hyperfine_export(Value())).empty());
  CHECK(results_in(hyperfine_export(Value::object({{"results", "none"}}))).empty());
  const Value odd = Value::object({{"results", Value(Value::Array{1, Value::object({{"runs", 2}})})}});
  CHECK(results_in(hyperfine_export(odd)).empty());
}
