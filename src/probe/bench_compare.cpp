#include "probe/bench_compare.hpp"

#include "base/text.hpp"
#include "evidence/compare.hpp"
#include "probe/bench_results.hpp"
#include "probe/statistics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

namespace orch::probe {

namespace {

using base::ErrorKind;
using base::fail;
using base::printable;
using Results = std::vector<BenchResult>;

const Value k_absent;

bool has_one_variant(const Results& results) {
  return !results.empty() && std::all_of(results.begin(), results.end(), [&](const BenchResult& result) {
    return result.variant == results.front().variant;
  });
}

// The times that are compared, or why there are too few.
std::string lack_of(const char* side, const BenchResult& result, std::size_t count) {
  if (count >= k_fewest) return {};
  if (!result.given_up.empty()) return fmt::format("{} was given up: {}", side, result.given_up);
  if (result.runs.empty()) return fmt::format("{} was stopped before such a start", side);
  return fmt::format("{} has {}, and {} are needed", side,
                     base::quantity(count, "successful run", "successful runs"), k_fewest);
}

Value side_of(const BenchResult& result, const std::vector<double>& times) {
  return Value::object({{"median", times.empty() ? Value() : Value(median_of(times))},
                        {"count", std::uint64_t{times.size()}},
                        {"runs", std::uint64_t{result.runs.size()}}});
}

Value pair_of(const BenchResult& a, const BenchResult& b, std::uint64_t seed) {
  const std::vector<double> times_a = a.times();
  const std::vector<double> times_b = b.times();
  const Comparison comparison = compare_times(times_a, times_b, seed);
  const bool is_known = comparison.verdict != Verdict::unknown;
  std::string reason = lack_of("a", a, times_a.size());
  if (reason.empty()) reason = lack_of("b", b, times_b.size());
  if (reason.empty())
    reason = comparison.measured ? fmt::format(
                                       "from {:.3f} to {:.3f} is too wide to tell: more starts make it "
                                       "narrower",
                                       comparison.interval.low, comparison.interval.high)
                                 : "the median of a is 0";
  return Value::object({{"variant", a.variant},
                        {"start", a.start},
                        {"a", side_of(a, times_a)},
                        {"b", side_of(b, times_b)},
                        {"ratio", comparison.measured ? Value(comparison.ratio) : Value()},
                        {"interval", comparison.measured ? Value::object({{"low", comparison.interval.low},
                                                                          {"high", comparison.interval.high}})
                                                         : Value()},
                        {"verdict", to_string(comparison.verdict)},
                        {"reason", is_known ? Value() : Value(std::move(reason))}});
}

void add_difference(Value& out, const std::string& field, const Value* a, const Value* b) {
  const Value& of_a = a != nullptr ? *a : k_absent;
  const Value& of_b = b != nullptr ? *b : k_absent;
  for (const evidence::Difference& found : evidence::compare(of_a, of_b, field, evidence::only_equal))
    // Another boot of the same machine is the same machine.
    if (found.field != "host.boot_id")
      out.push(Value::object({{"field", found.field}, {"a", found.a}, {"b", found.b}}));
}

Value differences_of(const Value& a, const Value& b) {
  constexpr std::array<const char*, 9> k_fields = {"profile",  "command",           "ready",
                                                   "launcher", "stopped",           "timeout_seconds",
                                                   "warmup",   "page_cache.method", "host"};
  Value out = Value::array();
  for (const char* field : k_fields) add_difference(out, field, a.find_path(field), b.find_path(field));
  return out;
}

std::string list_of(const Results& results) {
  std::vector<std::string> labels;
  for (const BenchResult& result : results) labels.push_back(fmt::format("'{}'", printable(result.label())));
  return labels.empty() ? "nothing" : base::join(labels, " and ");
}

void add_unmatched(Value& out, const char* side, const Results& results,
                   const std::set<const BenchResult*>& matched) {
  for (const BenchResult& result : results)
    if (matched.count(&result) == 0)
      out.push(Value::object({{"in", side}, {"variant", result.variant}, {"start", result.start}}));
}

}  // namespace

Result<Value> compare_benches(const Value& a, const Value& b, const std::string& name_a,
                              const std::string& name_b) {
  const Results of_a = results_of(a);
  const Results of_b = results_of(b);
  const bool any_variant = has_one_variant(of_a) && has_one_variant(of_b);
  const auto seed = static_cast<std::uint64_t>(a.int_or("seed", 0));
  Value pairs = Value::array();
  std::set<const BenchResult*> matched;
  for (const BenchResult& result : of_a) {
    const auto other = std::find_if(of_b.begin(), of_b.end(), [&](const BenchResult& candidate) {
      return candidate.start == result.start && (any_variant || candidate.variant == result.variant);
    });
    if (other == of_b.end()) continue;
    matched.insert({&result, &*other});
    pairs.push(pair_of(result, *other, seed));
  }
  if (matched.empty())
    return fail(ErrorKind::usage,
                fmt::format("nothing in '{}' has its counterpart in '{}': the one has {}, the other {}",
                            printable(name_a), printable(name_b), list_of(of_a), list_of(of_b)),
                "compare benchmarks that have a variant and a kind of start (cold or warm) in common");
  Value unmatched = Value::array();
  add_unmatched(unmatched, "a", of_a, matched);
  add_unmatched(unmatched, "b", of_b, matched);
  Value differences = differences_of(a, b);
  if (any_variant && of_a.front().variant != of_b.front().variant)
    differences.as_array().insert(
        differences.as_array().begin(),
        Value::object({{"field", "variant"}, {"a", of_a.front().variant}, {"b", of_b.front().variant}}));
  return Value::object({{"schema", "appimage-orch/bench-compare/1"},
                        {"a", name_a},
                        {"b", name_b},
                        {"pairs", std::move(pairs)},
                        {"unmatched", std::move(unmatched)},
                        {"differences", std::move(differences)}});
}

namespace {

std::string name_of(const Value& item) {
  const std::string variant = item.string_or("variant", "");
  return printable((variant.empty() ? "" : variant + ", ") + item.string_or("start", ""));
}

// Why a pair is a regression; empty where it is none.
std::string regression_of(const Value& pair, double percent) {
  constexpr double k_whole = 100;
  const auto number = [&pair](const char* path) { return pair.find_path(path)->as_int(); };
  const Value& ratio = *pair.find("ratio");
  if (number("b.count") * number("a.runs") < number("a.count") * number("b.runs") ||
      (number("b.count") == 0 && number("a.count") > 0))
    return fmt::format("{} of {} got ready, before {} of {}", number("b.count"),
                       base::quantity(static_cast<std::uint64_t>(number("b.runs")), "start", "starts"),
                       number("a.count"), number("a.runs"));
  if (ratio.is_null()) return "it cannot be compared: " + printable(pair.string_or("reason", ""));
  if (pair.string_or("verdict", "") == to_string(Verdict::slower) &&
      ratio.as_double() >= 1 + percent / k_whole)
    return fmt::format("it takes {:.3f} times as long", ratio.as_double());
  return {};
}

}  // namespace

std::vector<std::string> regressions_of(const Value& comparison, double percent) {
  std::vector<std::string> out;
  for (const Value& pair : comparison.find("pairs")->as_array())
    if (const std::string why = regression_of(pair, percent); !why.empty())
      out.push_back(fmt::format("{}: {}", name_of(pair), why));
  for (const Value& item : comparison.find("unmatched")->as_array())
    if (item.string_or("in", "") == "a") out.push_back(fmt::format("{}: b has none", name_of(item)));
  return out;
}

std::vector<std::string> doubts_of(const Value& comparison, double percent) {
  constexpr double k_whole = 100;
  std::vector<std::string> out;
  for (const Value& pair : comparison.find("pairs")->as_array()) {
    const Value& interval = *pair.find("interval");
    if (pair.string_or("verdict", "") != to_string(Verdict::unknown) || interval.is_null()) continue;
    const double high = interval.find("high")->as_double();
    if (high >= 1 + percent / k_whole && regression_of(pair, percent).empty())
      out.push_back(fmt::format("{}: {}", name_of(pair), printable(pair.string_or("reason", ""))));
  }
  return out;
}

}  // namespace orch::probe
