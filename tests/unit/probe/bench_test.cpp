#include "probe/bench.hpp"

#include "launch/muvm_lines.hpp"
#include "probe/readiness.hpp"
#include "probe/statistics.hpp"
#include "support/one_in.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>

using namespace orch;
using namespace orch::probe;
using namespace std::chrono_literals;
using Time = ReadinessWatch::Time;

namespace {

const std::uint64_t k_seeds = test::one_in() == 1 ? 8 : 2;

// A program that says "ready" when its time has come, on a clock of its own.
class SimulatedProgram {
 public:
  explicit SimulatedProgram(std::uint64_t seed) : engine_(seed) {}

  // The median is `median`; nine in ten lie near it, and one takes three times as long, so that the mean is another.
  Measured start(const Start& start, double median, double noise) {
    const double at = uniform();
    const double wanted = at > 0.9 ? 3 * median : median * (1 + noise * (2 * at - 1));
    ReadinessWatch watch = *ReadinessWatch::make(*parse_readiness("log:ready"));
    StartMoments moments;
    moments.begin = now_;
    moments.built = now_ += 1us;
    moments.launched = now_ += 1us;
    watch.output("ready, says the launcher", now_);
    watch.began(now_ += 1us);
    watch.output("getting ", now_);
    now_ = moments.begin + std::chrono::duration_cast<Time::duration>(std::chrono::duration<double>(wanted));
    watch.look(now_);
    CHECK_FALSE(watch.ready().has_value());
    watch.output("ready\n", now_);
    moments.began = watch.began();
    moments.ready = watch.ready();
    moments.ended = now_ += 1s;
    Measured out;
    out.start = start;
    out.outcome = "interrupted";
    out.seconds = seconds_of(moments);
    out.phases = phases_of(moments);
    return out;
  }

 private:
  double uniform() { return static_cast<double>(engine_() >> 11) / 9007199254740992.0; }
  std::mt19937_64 engine_;
  Time now_{1000s};
};

BenchPlan plan_of(std::size_t warm, std::uint64_t seed, std::vector<std::string> variants = {""}) {
  BenchPlan out;
  out.variants = std::move(variants);
  out.warm = warm;
  out.seed = seed;
  return out;
}

Value simulate(const BenchPlan& plan, const std::vector<double>& medians, double noise) {
  SimulatedProgram program(plan.seed);
  std::vector<Measured> runs;
  for (const Start& start : schedule(plan))
    runs.push_back(program.start(start, medians[start.variant], noise));
  return bench_report(Value::object({{"schema", "appimage-orch/bench/1"}}), plan, runs,
                      std::vector<std::string>(plan.variants.size()));
}

std::vector<double> times_of(const Value& result) {
  std::vector<double> out;
  for (const Value& run : result.find("runs")->as_array()) out.push_back(run.find("seconds")->as_double());
  return out;
}

const Value& result_at(const Value& report, std::size_t index) {
  return report.find("results")->as_array()[index];
}

std::string names(const std::vector<Start>& starts) {
  std::string out;
  for (const Start& start : starts)
    out += std::to_string(start.variant) + (start.measured ? start.kind == StartKind::cold ? "c" : "w" : "u");
  return out;
}

}  // namespace

TEST_CASE("the order of the starts") {
  BenchPlan plan = plan_of(2, 1, {"a", "b"});
  plan.cold = 1;
  plan.warmup = 1;
  plan.shuffled = false;
  CHECK(names(schedule(plan)) == "0u1u0w1w0w1w0c1c");
  plan.warm = 0;
  CHECK(names(schedule(plan)) == "0u1u0c1c");  // something may have to be made once
  plan = plan_of(50, 1, {"a", "b", "c"});
  const std::vector<Start> shuffled = schedule(plan);
  CHECK(names(shuffled) == names(schedule(plan)));
  std::map<std::string, int> rounds;
  for (std::size_t i = 0; i < shuffled.size(); i += 3) {
    std::string round;
    for (std::size_t k = i; k < i + 3; ++k) round += std::to_string(shuffled[k].variant);
    ++rounds[round];
    std::sort(round.begin(), round.end());
    CHECK(round == "012");
  }
  CHECK(rounds.size() == 6);  // every order of three
  plan.seed = 2;
  CHECK(names(shuffled) != names(schedule(plan)));
}

TEST_CASE("200 starts of a program whose times are known: median and interval are within 2 % of the truth") {
  constexpr double k_median = 1.25;
  for (std::uint64_t seed = 1; seed <= k_seeds; ++seed) {
    const Value report = simulate(plan_of(200, seed), {k_median}, 0.05);
    const Value& summary = *result_at(report, 0).find("summary");
    CAPTURE(seed);
    CHECK(summary.int_or("count", 0) == 200);
    CHECK(summary.find("mean")->as_double() > 1.1 * k_median);
    for (const double number :
         {summary.find("median")->as_double(), summary.find_path("median_interval.low")->as_double(),
          summary.find_path("median_interval.high")->as_double()})
      CHECK(number == doctest::Approx(k_median).epsilon(0.02));
  }
}

TEST_CASE("a start that takes 10 % longer is found, noise of 1 % is not") {
  int slower = 0;
  int different = 0;
  for (std::uint64_t seed = 1; seed <= k_seeds; ++seed) {
    const Value report = simulate(plan_of(200, seed, {"a", "same", "slow"}), {1, 1, 1.1}, 0.05);
    const auto verdict = [&](std::size_t other) {
      return compare_times(times_of(result_at(report, 0)), times_of(result_at(report, other)), seed).verdict;
    };
    slower += verdict(2) == Verdict::slower ? 1 : 0;
    different += verdict(1) == Verdict::no_difference ? 0 : 1;
    const Value noisy = simulate(plan_of(200, seed, {"a", "b"}), {1, 1.005}, 0.01);
    different += compare_times(times_of(result_at(noisy, 0)), times_of(result_at(noisy, 1)), seed).verdict ==
                         Verdict::no_difference
                     ? 0
                     : 1;
  }
  CHECK(slower == static_cast<int>(k_seeds));
  CHECK(different == 0);
}

TEST_CASE("starts that failed, outliers and variants that were given up") {
  BenchPlan plan = plan_of(6, 1, {"a", "b"});
  plan.shuffled = false;
  std::vector<Measured> runs;
  for (const Start& start : schedule(plan)) {
    if (start.variant == 1) continue;
    Measured run;
    run.start = start;
    run.outcome = "exited";
    const std::size_t index = runs.size();
    if (index != 2) run.seconds = index == 4 ? 30.0 : 1.0 + 0.01 * static_cast<double>(index);
    run.phases.build = 0.5;
    runs.push_back(run);
  }
  const Value report = bench_report(Value::object(), plan, runs, {"", "no"});
  const Value& a = result_at(report, 0);
  CHECK(a.find("success_rate")->as_double() == doctest::Approx(5.0 / 6));
  CHECK(a.find_path("summary.count")->as_int() == 5);
  CHECK(a.find_path("summary.outliers")->as_array() == Value::Array{Value(std::int64_t{3})});
  const Value::Array& list = a.find("runs")->as_array();
  CHECK(list[4].bool_or("outlier", false));
  CHECK_FALSE(list[3].bool_or("outlier", true));
  CHECK(list[2].find("seconds")->is_null());
  CHECK(a.find_path("phases.build")->as_double() == 0.5);
  CHECK(a.find_path("phases.boot")->is_null());
  const Value& b = result_at(report, 1);
  CHECK(b.find("summary")->is_null());
  CHECK(b.string_or("given_up", "") == "no");
}

TEST_CASE("the time that is left") {
  CHECK_FALSE(time_left(3, 0, 10).has_value());
  CHECK(time_left(3, 3, 10) == 7.0);
  CHECK(time_left(3, 10, 10) == 0.0);
}

TEST_CASE("conditions of readiness") {
  CHECK(parse_readiness("exit")->kind == Readiness::Kind::exit);
  CHECK(parse_readiness("log:a: b")->text == "a: b");
  CHECK(parse_readiness("window")->text.empty());
  CHECK(parse_readiness("window:Gimp")->text == "Gimp");
  CHECK(parse_readiness("after:1500ms")->time == 1500ms);
  for (const char* wrong : {"", "log", "log:", "log:two\nlines", "window:", "after", "after:", "after:0s",
                            "after:x", "exit:1", "soon"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_readiness(wrong).has_value());
  }
}

TEST_CASE("a line is found however it is cut") {
  const std::string output = "nothing\nthe server is listening\n";
  for (std::size_t first = 0; first <= output.size(); ++first) {
    for (std::size_t second = first; second <= output.size(); ++second) {
      ReadinessWatch watch = *ReadinessWatch::make(*parse_readiness("log:listening"));
      watch.began(Time(1s));
      watch.output(std::string_view(output).substr(0, first), Time(2s));
      watch.output(std::string_view(output).substr(first, second - first), Time(3s));
      watch.output(std::string_view(output).substr(second), Time(4s));
      REQUIRE(watch.ready().has_value());
      const std::size_t end = output.find("listening") + 9;
      CHECK(*watch.ready() == Time(first >= end ? 2s : second >= end ? 3s : 4s));
    }
  }
  ReadinessWatch one = *ReadinessWatch::make(*parse_readiness("log:x"));
  one.output("x", Time(1s));  // the launcher's
  one.began(Time(1s));
  one.output("abc", Time(1s));
  CHECK_FALSE(one.ready().has_value());
  one.output("x", Time(2s));
  CHECK(one.ready() == Time(2s));
}

TEST_CASE("a line is not found in two, nor forgotten because it is long") {
  ReadinessWatch two = *ReadinessWatch::make(*parse_readiness("log:is listening"));
  two.began(Time(1s));
  two.output("it is\r\n listening\rit is \nlistening\n", Time(2s));
  CHECK_FALSE(two.ready().has_value());
  for (const std::size_t size : {10U, 65530U, 65539U, 65540U, 65541U, 65545U, 65546U, 70000U, 300000U}) {
    ReadinessWatch longer = *ReadinessWatch::make(*parse_readiness("log:listening"));
    longer.began(Time(1s));
    longer.output(std::string(size, '.') + "liste", Time(3s));
    CHECK_FALSE(longer.ready().has_value());
    longer.output("ning", Time(4s));
    CHECK(longer.ready() == Time(4s));
  }
}

TEST_CASE("the lines of what the application runs in are not its own, however they are cut") {
  const std::string output =
      "Using default interface naming scheme 'v257'.\r\nthe server is naming itself\nnaming";
  const std::size_t end = output.find("is naming") + 9;
  for (std::size_t first = 0; first <= output.size(); ++first) {
    ReadinessWatch watch = *ReadinessWatch::make(*parse_readiness("log:naming"),
                                                 {launch::is_line_of_muvm, launch::may_be_line_of_muvm});
    watch.began(Time(1s));  // seen before those lines were read
    watch.output(std::string_view(output).substr(0, first), Time(2s));
    watch.output(std::string_view(output).substr(first), Time(3s));
    CAPTURE(first);
    CHECK(watch.ready() == Time(first >= end ? 2s : 3s));
  }
}

TEST_CASE("a time is over when it is, not when somebody looks") {
  ReadinessWatch watch = *ReadinessWatch::make(*parse_readiness("after:2s"));
  watch.look(Time(200s));
  CHECK_FALSE(watch.ready().has_value());  // it has not begun
  watch.began(Time(100s));
  watch.look(Time(101s));
  CHECK_FALSE(watch.ready().has_value());
  watch.look(Time(102s + 7ms));
  CHECK(watch.ready() == Time(102s));
  watch.began(Time(300s));  // that attempt had come to nothing
  CHECK_FALSE(watch.ready().has_value());
}

TEST_CASE("the phases of a start are the time of it, one after the other") {
  StartMoments moments;
  moments.begin = Time(10s);
  CHECK_FALSE(phases_of(moments).build.has_value());
  CHECK_FALSE(seconds_of(moments).has_value());
  moments.built = Time(11s);
  moments.launched = Time(13s);
  moments.began = Time(16s);
  moments.ready = Time(20s);
  moments.ended = Time(25s);
  const StartPhases phases = phases_of(moments);
  CHECK(phases.build == 1.0);
  CHECK(phases.preflight == 2.0);
  CHECK(phases.boot == 3.0);
  CHECK(phases.ready == 4.0);
  CHECK(phases.exit == 5.0);
  CHECK(seconds_of(moments) == 10.0);
}
