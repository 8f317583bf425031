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

using IsWhole = bool (*)(const Value&);
struct Member {
  std::string_view name;
  IsWhole is_whole;
};

bool is_text(const Value& value) {
  return value.is_string() || value.is_object();
}  // or its base64
bool is_object(const Value& value) {
  return value.is_object();
}
bool is_list(const Value& value) {
  return value.is_array();
}
bool is_number(const Value& value) {
  return value.is_int() || value.is_double();
}
bool is_summary(const Value& value) {
  return value.is_null() || value.is_object();
}
bool is_interval(const Value& value) {
  return value.is_null() || value.is_object();
}

constexpr Member k_bench[] = {{"page_cache", is_object}, {"results", is_list}};
constexpr Member k_result[] = {{"variant", is_text},
                               {"start", is_text},
                               {"summary", is_summary},
                               {"phases", is_object},
                               {"runs", is_list}};
constexpr Member k_summary[] = {{"mean", is_number},
                                {"median", is_number},
                                {"min", is_number},
                                {"max", is_number},
                                {"median_interval", is_interval}};

template <std::size_t N>
std::string missing_in(const Value& value, const std::string& place, const Member (&members)[N]) {
  for (const Member& member : members)
    if (const Value* found = value.find(member.name); found == nullptr || !member.is_whole(*found))
      return fmt::format("{}{}", place, member.name);
  return {};
}

std::string defect_of_result(const Value& result, const std::string& place) {
  if (std::string defect = missing_in(result, place, k_result); !defect.empty()) return defect;
  const Value& summary = *result.find("summary");
  if (!summary.is_null())
    if (std::string defect = missing_in(summary, place + "summary.", k_summary); !defect.empty())
      return defect;
  for (const Value& run : result.find("runs")->as_array())
    if (!run.is_object()) return place + "runs";
  return {};
}

}  // namespace

std::string defect_of(const Value& bench) {
  if (std::string defect = missing_in(bench, "", k_bench); !defect.empty())
    return defect + " is missing, or something else";
  const Value::Array& results = bench.find("results")->as_array();
  for (std::size_t i = 0; i < results.size(); ++i)
    if (const std::string defect = defect_of_result(results[i], fmt::format("results[{}].", i));
        !defect.empty())
      return defect + " is missing, or something else";
  return {};
}

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
