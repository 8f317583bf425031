#include "probe/bench_results.hpp"

#include <fmt/format.h>

namespace orch::probe {

namespace {

BenchRun run_of(const Value& value) {
  BenchRun out;
  out.number = value.int_or("number", 0);
  const Value* seconds = value.find("seconds");
  const bool is_number = seconds != nullptr && (seconds->is_double() || seconds->is_int());
  if (is_number && value.bool_or("ok", false)) out.seconds = seconds->as_double();
  // What was ended because it was ready has no status of its own.
  const bool exited = value.string_or("outcome", "") == "exited";
  if (const Value* status = value.find("exit_status"); exited && status != nullptr && status->is_int())
    out.exit_status = status->as_int();
  return out;
}

}  // namespace

std::vector<double> BenchResult::times() const {
  std::vector<double> out;
  for (const BenchRun& run : runs)
    if (run.seconds) out.push_back(*run.seconds);
  return out;
}

std::string BenchResult::label() const {
  return variant.empty() ? start : variant + ", " + start;
}

std::vector<BenchResult> results_of(const Value& bench) {
  std::vector<BenchResult> out;
  const Value* results = bench.find("results");
  if (results == nullptr || !results->is_array()) return out;
  for (const Value& value : results->as_array()) {
    BenchResult result;
    result.variant = value.string_or("variant", "");
    result.start = value.string_or("start", "");
    result.given_up = value.string_or("given_up", "");
    if (const Value* summary = value.find("summary"); summary != nullptr && summary->is_object())
      result.summary = *summary;
    if (const Value* runs = value.find("runs"); runs != nullptr && runs->is_array())
      for (const Value& run : runs->as_array()) result.runs.push_back(run_of(run));
    out.push_back(std::move(result));
  }
  return out;
}

std::string precise_seconds(double seconds) {
  constexpr double k_milli = 1000;
  constexpr double k_second = 0.99995;  // rounded to a tenth of a millisecond it is one
  constexpr double k_few = 99.9995;
  if (seconds < k_second) return fmt::format("{:.1f} ms", seconds * k_milli);
  return seconds < k_few ? fmt::format("{:.3f} s", seconds) : fmt::format("{:.1f} s", seconds);
}

}  // namespace orch::probe
