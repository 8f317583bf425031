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
  if (reason.empty()) reason = "the median of a is 0";
  return Value::object({{"variant", a.variant},
                        {"start", a.start},
                        {"a", side_of(a, times_a)},
                        {"b", side_of(b, times_b)},
                        {"ratio", is_known ? Value(comparison.ratio) : Value()},
                        {"interval", is_known ? Value::object({{"low", comparison.interval.low},
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
  constexpr std::array<const char*, 8> k_fields = {
      "profile", "command", "ready", "launcher", "timeout_seconds", "warmup", "page_cache.method", "host"};
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

bool is_slower_than(const Value& comparison, double percent) {
  constexpr double k_whole = 100;
  const Value::Array& pairs = comparison.find("pairs")->as_array();
  return std::any_of(pairs.begin(), pairs.end(), [percent](const Value& pair) {
    const bool never = pair.find_path("a.count")->as_int() > 0 && pair.find_path("b.count")->as_int() == 0;
    return never || (pair.string_or("verdict", "") == to_string(Verdict::slower) &&
                     pair.find("ratio")->as_double() >= 1 + percent / k_whole);
  });
}

}  // namespace orch::probe
