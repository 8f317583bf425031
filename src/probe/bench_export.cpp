#include "probe/bench_export.hpp"

#include "probe/bench_results.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace orch::probe {

namespace {

Value number_of(const Value& summary, std::string_view key) {
  const Value* found = summary.find(key);
  return found != nullptr ? *found : Value();
}

// `both`: the benchmark has starts of both kinds.
Value parameters_of(const BenchResult& result, bool both) {
  Value out = Value::object();
  if (const std::size_t equals = result.variant.find('='); equals != std::string::npos)
    out.set(result.variant.substr(0, equals), result.variant.substr(equals + 1));
  else if (!result.variant.empty())
    out.set("gpu_mode", result.variant);
  if (both) out.set("start", result.start);
  return out;
}

Value exported(const std::string& name, const BenchResult& result, bool both) {
  Value times = Value::array();
  Value codes = Value::array();
  for (const BenchRun& run : result.runs) {
    if (!run.seconds) continue;
    times.push(*run.seconds);
    codes.push(run.exit_status ? Value(*run.exit_status) : Value());
  }
  Value out = Value::object({{"command", fmt::format("{} ({})", name, result.label())},
                             {"mean", number_of(result.summary, "mean")},
                             {"stddev", number_of(result.summary, "deviation")},
                             {"median", number_of(result.summary, "median")},
                             {"user", nullptr},
                             {"system", nullptr},
                             {"min", number_of(result.summary, "min")},
                             {"max", number_of(result.summary, "max")},
                             {"times", std::move(times)},
                             {"exit_codes", std::move(codes)}});
  if (Value parameters = parameters_of(result, both); !parameters.as_object().empty())
    out.set("parameters", std::move(parameters));
  return out;
}

}  // namespace

Value hyperfine_export(const Value& bench) {
  const std::string name = bench.string_or("command", bench.string_or("profile", ""));
  const std::vector<BenchResult> all = results_of(bench);
  const bool both =
      std::ranges::any_of(all, [&](const BenchResult& result) { return result.start != all.front().start; });
  Value results = Value::array();
  for (const BenchResult& result : all)
    if (!result.summary.is_null()) results.push(exported(name, result, both));
  return Value::object({{"results", std::move(results)}});
}

}  // namespace orch::probe
