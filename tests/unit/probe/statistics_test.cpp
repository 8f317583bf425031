#include "probe/statistics.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <random>

using namespace orch::probe;
using Times = std::vector<double>;

namespace {

// Times of starts as they are: a floor, noise in proportion, and now and then one that took much longer.
Times starts(std::mt19937_64& engine, double median, double noise, std::size_t count) {
  Times out;
  for (std::size_t i = 0; i < count; ++i) {
    // A sum of twelve uniform numbers is near enough to a normal distribution, and the same everywhere.
    double sum = -6;
    for (int k = 0; k < 12; ++k) sum += static_cast<double>(engine() >> 11) / 9007199254740992.0;
    const bool late = engine() % 50 == 0;
    out.push_back(median * (1 + noise * sum) * (late ? 3 : 1));
  }
  return out;
}

}  // namespace

TEST_CASE("medians") {
  CHECK(median_of({}) == 0);
  CHECK(median_of({3}) == 3);
  CHECK(median_of({4, 1}) == 2.5);
  CHECK(median_of({5, 1, 3}) == 3);
  CHECK(median_of({4, 1, 3, 2}) == 2.5);
}

TEST_CASE("a summary") {
  const Summary summary = summarize({1, 2, 3, 4, 5, 100}, 1);
  CHECK(summary.count == 6);
  CHECK(summary.mean == doctest::Approx(115.0 / 6));
  CHECK(summary.median == 3.5);
  CHECK(summary.min == 1);
  CHECK(summary.max == 100);
  CHECK(summary.deviation == doctest::Approx(39.6253));
  CHECK(summary.outliers == std::vector<std::size_t>{5});
  CHECK(summary.median_interval.low >= 1);
  CHECK(summary.median_interval.high <= 100);
  CHECK(summary.median_interval.low < summary.median);
  CHECK(summarize({2}, 1).deviation == 0);
  CHECK(summarize({}, 1).count == 0);
  CHECK(outliers_of({1, 2, 3, 90}).empty());
  CHECK(outliers_of({1, 2, 3, 4, 90}) == std::vector<std::size_t>{4});
  CHECK(outliers_of({1, 1, 1, 1, 9}).empty());  // nothing varies, so nothing says what is far
}

TEST_CASE("the same seed gives the same interval, on every machine") {
  std::mt19937_64 engine(7);
  const Times times = starts(engine, 1, 0.1, 30);
  const Summary one = summarize(times, 42);
  const Summary two = summarize(times, 42);
  CHECK(one.median_interval.low == two.median_interval.low);
  CHECK(one.median_interval.high == two.median_interval.high);
  int others = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed)
    others += summarize(times, seed).median_interval.high != one.median_interval.high ? 1 : 0;
  CHECK(others > 0);
}

TEST_CASE(
    "200 simulated runs: the median is within 2 % of the truth, and the interval holds it as often as it "
    "says") {
  std::mt19937_64 engine(11);
  int near = 0;
  int held = 0;
  for (std::uint64_t run = 0; run < 200; ++run) {
    const double truth = 0.2 + 0.01 * static_cast<double>(run % 40);
    const Summary summary = summarize(starts(engine, truth, 0.02, 30), run);
    near += std::abs(summary.median / truth - 1) < 0.02 ? 1 : 0;
    held += summary.median_interval.low <= truth && truth <= summary.median_interval.high ? 1 : 0;
  }
  CHECK(near == 200);
  CHECK(held >= 180);  // 95 % of 200 is 190; five standard deviations below it is 175
  CHECK(held < 200);   // an interval that always holds it says nothing
}

TEST_CASE("ten percent are found, one percent of noise is not") {
  std::mt19937_64 engine(13);
  int found = 0;
  int wrong = 0;
  for (std::uint64_t run = 0; run < 100; ++run) {
    const Times a = starts(engine, 0.5, 0.01, 20);
    const Times b = starts(engine, 0.55, 0.01, 20);
    const Times c = starts(engine, 0.5, 0.01, 20);
    found += compare_times(a, b, run).verdict == Verdict::slower ? 1 : 0;
    found += compare_times(b, a, run).verdict == Verdict::faster ? 1 : 0;
    wrong += compare_times(a, c, run).verdict != Verdict::no_difference ? 1 : 0;
  }
  CHECK(found == 200);
  CHECK(wrong == 0);
  const Comparison comparison = compare_times({1, 1.01, 0.99, 1, 1}, {1.1, 1.11, 1.09, 1.1, 1.1}, 1);
  CHECK(comparison.ratio == doctest::Approx(1.1));
  CHECK(comparison.interval.low > 1.07);
  CHECK(comparison.interval.high < 1.13);
}

TEST_CASE("noise of 10 % hides a difference of 10 %, and is not taken for none") {
  std::mt19937_64 engine(17);
  int none = 0;
  for (std::uint64_t run = 0; run < 100; ++run)
    none += compare_times(starts(engine, 0.5, 0.1, 10), starts(engine, 0.55, 0.1, 10), run).verdict ==
                    Verdict::no_difference
                ? 1
                : 0;
  CHECK(none <= 1);
  const Comparison wide = compare_times({1, 1.2, 0.9, 1.1, 1}, {1.1, 1.3, 0.9, 1.2, 1}, 1);
  CHECK(wide.verdict == Verdict::unknown);
  CHECK(wide.measured);
}

TEST_CASE("too little to compare") {
  CHECK(compare_times({1, 1, 1, 1}, {2, 2, 2, 2, 2}, 1).verdict == Verdict::unknown);
  CHECK_FALSE(compare_times({1, 1, 1, 1}, {2, 2, 2, 2, 2}, 1).measured);
  CHECK(compare_times({1, 1, 1, 1, 1}, {2, 2, 2, 2, 2}, 1).verdict == Verdict::slower);
  CHECK(compare_times({0, 0, 0, 0, 0}, {1, 2, 3, 4, 5}, 1).verdict == Verdict::unknown);
  CHECK(to_string(Verdict::no_difference) == "no difference");
}
