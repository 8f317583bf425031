#include "probe/bench.hpp"

#include "probe/statistics.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <random>
#include <set>
#include <utility>

namespace orch::probe {

namespace {

using Phase = std::optional<double> StartPhases::*;
constexpr std::array<std::pair<const char*, Phase>, 5> k_phases = {{{"build", &StartPhases::build},
                                                                    {"preflight", &StartPhases::preflight},
                                                                    {"boot", &StartPhases::boot},
                                                                    {"ready", &StartPhases::ready},
                                                                    {"exit", &StartPhases::exit}}};

// Fisher and Yates's; the standard's shuffle is not the same everywhere.
void shuffle(std::vector<std::size_t>& order, std::mt19937_64& engine) {
  constexpr unsigned k_half = 32;
  for (std::size_t left = order.size(); left > 1; --left)
    std::swap(order[left - 1], order[static_cast<std::size_t>(((engine() >> k_half) * left) >> k_half)]);
}

Value summary_value(const std::vector<double>& times, std::uint64_t seed) {
  if (times.empty()) return {};
  const Summary summary = summarize(times, seed);
  const Value interval =
      Value::object({{"low", summary.median_interval.low}, {"high", summary.median_interval.high}});
  Value outliers = Value::array();
  for (const std::size_t index : summary.outliers) outliers.push(static_cast<std::int64_t>(index));
  return Value::object({{"count", static_cast<std::int64_t>(summary.count)},
                        {"mean", summary.mean},
                        {"median", summary.median},
                        {"deviation", times.size() > 1 ? Value(summary.deviation) : Value()},
                        {"min", summary.min},
                        {"max", summary.max},
                        {"median_interval", times.size() < k_fewest ? Value() : interval},
                        {"outliers", std::move(outliers)}});
}

Value run_value(const Measured& run, std::size_t number, bool outlier) {
  Value phases = Value::object();
  for (const auto& [name, phase] : k_phases) phases.set(name, base::or_null(run.phases.*phase));
  return Value::object({{"number", static_cast<std::int64_t>(number)},
                        {"seconds", base::or_null(run.seconds)},
                        {"ok", run.seconds.has_value()},
                        {"outcome", run.outcome},
                        {"exit_status", run.exit_status},
                        {"outlier", outlier},
                        {"error", base::or_null(run.error)},
                        {"directory", run.directory},
                        {"phases", std::move(phases)}});
}

// Medians of the starts that got ready.
Value median_phases(const std::vector<const Measured*>& runs) {
  Value out = Value::object();
  for (const auto& [name, phase] : k_phases) {
    std::vector<double> times;
    for (const Measured* run : runs)
      if (run->seconds && run->phases.*phase) times.push_back(*(run->phases.*phase));
    out.set(name, times.empty() ? Value() : Value(median_of(std::move(times))));
  }
  return out;
}

// `numbers`: the places of `runs` in the whole order.
Value result_value(const std::string& variant, StartKind kind, const std::vector<const Measured*>& runs,
                   const std::vector<std::size_t>& numbers, std::uint64_t seed) {
  std::vector<double> times;
  for (const Measured* run : runs)
    if (run->seconds) times.push_back(*run->seconds);
  const std::vector<std::size_t> far = outliers_of(times);
  const std::set<std::size_t> outliers(far.begin(), far.end());
  Value list = Value::array();
  std::size_t index = 0;  // among those that got ready
  for (std::size_t i = 0; i < runs.size(); ++i) {
    list.push(run_value(*runs[i], numbers[i], runs[i]->seconds && outliers.contains(index)));
    if (runs[i]->seconds) ++index;
  }
  const Value rate =
      runs.empty() ? Value() : Value(static_cast<double>(times.size()) / static_cast<double>(runs.size()));
  return Value::object({{"variant", variant},
                        {"start", std::string(to_string(kind))},
                        {"success_rate", rate},
                        {"summary", summary_value(times, seed)},
                        {"phases", median_phases(runs)},
                        {"runs", std::move(list)}});
}

}  // namespace

StartPhases phases_of(const StartMoments& moments) {
  using Time = StartMoments::Time;
  const auto between = [](const std::optional<Time>& from, const std::optional<Time>& to) {
    if (!from || !to) return std::optional<double>();
    return std::optional(std::chrono::duration<double>(*to - *from).count());
  };
  return {between(moments.begin, moments.built), between(moments.built, moments.launched),
          between(moments.launched, moments.began), between(moments.began, moments.ready),
          between(moments.ready, moments.ended)};
}

std::optional<double> seconds_of(const StartMoments& moments) {
  if (!moments.ready) return std::nullopt;
  return std::chrono::duration<double>(*moments.ready - moments.begin).count();
}

std::string_view to_string(StartKind kind) {
  return kind == StartKind::cold ? "cold" : "warm";
}

std::vector<Start> schedule(const BenchPlan& plan) {
  std::vector<Start> out;
  std::mt19937_64 engine(plan.seed);
  std::vector<std::size_t> order(plan.variants.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto rounds = [&](std::size_t count, StartKind kind, bool measured) {
    for (std::size_t i = 0; i < count; ++i) {
      if (plan.shuffled && measured) shuffle(order, engine);
      for (const std::size_t variant : order) out.push_back({variant, kind, measured});
    }
  };
  rounds(plan.warmup, StartKind::warm, false);
  rounds(plan.warm, StartKind::warm, true);
  rounds(plan.cold, StartKind::cold, true);
  return out;
}

Value bench_report(const Value& header, const BenchPlan& plan, const std::vector<Measured>& runs,
                   const std::vector<std::string>& given_up) {
  Value results = Value::array();
  for (std::size_t variant = 0; variant < plan.variants.size(); ++variant) {
    for (const StartKind kind : {StartKind::warm, StartKind::cold}) {
      if ((kind == StartKind::warm ? plan.warm : plan.cold) == 0) continue;
      std::vector<const Measured*> its;
      std::vector<std::size_t> numbers;
      std::size_t number = 0;
      for (const Measured& run : runs) {
        if (!run.start.measured) continue;
        ++number;
        if (run.start.variant != variant || run.start.kind != kind) continue;
        its.push_back(&run);
        numbers.push_back(number);
      }
      Value result = result_value(plan.variants[variant], kind, its, numbers, plan.seed);
      result.set("given_up", given_up[variant].empty() ? Value() : Value(given_up[variant]));
      results.push(std::move(result));
    }
  }
  Value out = header;
  out.set("results", std::move(results));
  return out;
}

std::optional<double> time_left(double spent, std::size_t done, std::size_t all) {
  if (done == 0) return std::nullopt;
  return spent / static_cast<double>(done) * static_cast<double>(all - std::min(done, all));
}

}  // namespace orch::probe
