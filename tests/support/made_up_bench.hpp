// Benchmarks that were never run, for the tests of their views.
#pragma once

#include "base/value.hpp"
#include "probe/statistics.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace orch::test {

using base::Value;
using Seconds = std::vector<std::optional<double>>;  // of one result's runs; none: the run failed

// The last digits of a sum of squares differ between processors.
inline double rounded(double seconds) {
  constexpr double k_micro = 1e6;
  return std::round(seconds * k_micro) / k_micro;
}

inline Value phases() {
  return Value::object(
      {{"build", 0.01}, {"preflight", 0.02}, {"boot", nullptr}, {"ready", 0.9}, {"exit", nullptr}});
}

inline Value made_up_run(std::int64_t number, std::optional<double> seconds) {
  return Value::object({{"number", number},
                        {"seconds", seconds ? Value(*seconds) : Value()},
                        {"ok", seconds.has_value()},
                        {"outcome", seconds ? "exited" : "timed_out"},
                        {"exit_status", seconds ? 0 : 124},
                        {"outlier", false},
                        {"error", seconds ? Value() : Value("it was not ready within 60 s")},
                        {"directory", fmt::format("runs/{:03}", number)},
                        {"phases", phases()}});
}

// The runs have the places first, first + step, …
inline Value made_up_result(const std::string& variant, const std::string& start, const Seconds& seconds,
                            std::int64_t first = 1, std::int64_t step = 1) {
  Value runs = Value::array();
  std::vector<double> times;
  for (std::size_t i = 0; i < seconds.size(); ++i) {
    runs.push(made_up_run(first + static_cast<std::int64_t>(i) * step, seconds[i]));
    if (seconds[i]) times.push_back(*seconds[i]);
  }
  Value summary;
  if (!times.empty()) {
    const probe::Summary of = probe::summarize(times, 7);
    Value outliers = Value::array();
    for (const std::size_t index : of.outliers) outliers.push(std::uint64_t{index});
    summary =
        Value::object({{"count", std::uint64_t{of.count}},
                       {"mean", rounded(of.mean)},
                       {"median", of.median},
                       {"deviation", times.size() > 1 ? Value(rounded(of.deviation)) : Value()},
                       {"min", of.min},
                       {"max", of.max},
                       {"median_interval",
                        Value::object({{"low", of.median_interval.low}, {"high", of.median_interval.high}})},
                       {"outliers", std::move(outliers)}});
  }
  return Value::object({{"variant", variant},
                        {"start", start},
                        {"success_rate", seconds.empty() ? Value()
                                                         : Value(static_cast<double>(times.size()) /
                                                                 static_cast<double>(seconds.size()))},
                        {"summary", std::move(summary)},
                        {"phases", phases()},
                        {"runs", std::move(runs)},
                        {"given_up", nullptr}});
}

inline Value made_up_bench(std::vector<Value> results) {
  return Value::object({{"schema", "appimage-orch/bench/1"},
                        {"tool_version", "0.1.0"},
                        {"started", "2026-01-02T03:04:05.000Z"},
                        {"ended", "2026-01-02T03:14:05.000Z"},
                        {"stopped", nullptr},
                        {"signal", nullptr},
                        {"profile", "hello"},
                        {"command", nullptr},
                        {"launcher", "muvm"},
                        {"host", Value::object({{"kernel", "6.1"},
                                                {"machine", "aarch64"},
                                                {"os", "Made Up 1"},
                                                {"page_size", 16384},
                                                {"cpus", 8},
                                                {"memory_bytes", nullptr},
                                                {"boot_id", "one"},
                                                {"soc", Value::strings({"apple,t6000"})},
                                                {"gpu_drivers", Value::object({{"renderD128", "asahi"}})}})},
                        {"ready", "window"},
                        {"seed", 7},
                        {"order", "random"},
                        {"warmup", 1},
                        {"warm", 6},
                        {"cold", 6},
                        {"timeout_seconds", 60.0},
                        {"page_cache", Value::object({{"method", "drop_caches"}, {"detail", "written to"}})},
                        {"results", Value(std::move(results))}});
}

// Two variants with both kinds of start, a late run and a failed one.
inline Value usual_bench() {
  return made_up_bench({made_up_result("drm", "cold", {1.8, 1.82, 1.79, 1.81, 1.8, 1.83}, 1, 4),
                        made_up_result("drm", "warm", {1.0, 1.01, std::nullopt, 0.99, 1.0, 1.6}, 2, 4),
                        made_up_result("venus", "cold", {2.3, 2.31, 2.33, 2.28, 2.3, 2.34}, 3, 4),
                        made_up_result("venus", "warm", {1.25, 1.26, 1.24, 1.25, 1.27, 1.25}, 4, 4)});
}

}  // namespace orch::test
