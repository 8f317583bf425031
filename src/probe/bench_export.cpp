#include "probe/bench_export.hpp"

#include "probe/bench_results.hpp"

#include <fmt/format.h>

namespace orch::probe {

namespace {

Value number_of(const Value& summary, std::string_view key) {
  const Value* found = summary.find(key);
  return found != nullptr ? *found : Value();
}

Value exported(const std::string& name, const BenchResult& result) {
  Value times = Value::array();
  Value codes = Value::array();
  for (const BenchRun& run : result.runs) {
    if (!run.seconds) continue;
    times.push(*run.seconds);
    codes.push(run.exit_status ? Value(*run.exit_status) : Value());
  }
  const bool is_one = times.as_array().size() < 2;
  return Value::object(
      {{"command", fmt::format("{} ({})", name, result.label())},
       {"mean", number_of(result.summary, "mean")},
       {"stddev", is_one ? Value() : number_of(result.summary, "deviation")},
       {"median", number_of(result.summary, "median")},
       {"user", nullptr},
       {"system", nullptr},
       {"min", number_of(result.summary, "min")},
       {"max", number_of(result.summary, "max")},
       {"times", std::move(times)},
       {"exit_codes", std::move(codes)},
       {"parameters", Value::object({{"variant", result.variant}, {"start", result.start}})}});
}

}  // namespace

Value hyperfine_export(const Value& bench) {
  const std::string name = bench.string_or("command", bench.string_or("profile", ""));
  Value results = Value::array();
  for (const BenchResult& result : results_of(bench))
    if (!result.summary.is_null()) results.push(exported(name, result));
  return Value::object({{"results", std::move(results)}});
}

}  // namespace orch::probe
