#include "probe/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <random>

namespace orch::probe {

namespace {

constexpr std::size_t k_resamples = 2000;
constexpr double k_tail = 0.025;  // on each side of a 95 % interval

// The engine's numbers are the same everywhere, those of the standard's distributions are not.
class Resampler {
 public:
  explicit Resampler(std::uint64_t seed) : engine_(seed) {}

  // As many times as there are, drawn with replacement.
  const std::vector<double>& draw(const std::vector<double>& times) {
    drawn_.clear();
    for (std::size_t i = 0; i < times.size(); ++i) drawn_.push_back(times[below(times.size())]);
    return drawn_;
  }

 private:
  std::size_t below(std::size_t limit) {
    constexpr unsigned k_half = 32;
    return static_cast<std::size_t>(((engine_() >> k_half) * limit) >> k_half);
  }
  std::mt19937_64 engine_;
  std::vector<double> drawn_;
};

// The middle 95 % of what `estimate` gives for so many resamples.
Interval interval_of(const std::function<double()>& estimate) {
  std::vector<double> all(k_resamples);
  std::generate(all.begin(), all.end(), estimate);
  std::sort(all.begin(), all.end());
  const auto at = [&all](double part) {
    return all[static_cast<std::size_t>(part * static_cast<double>(all.size() - 1) + 0.5)];
  };
  return {at(k_tail), at(1 - k_tail)};
}

}  // namespace

double median_of(std::vector<double> times) {
  if (times.empty()) return 0;
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  if (times.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(times.begin(), middle)) / 2;
}

std::vector<std::size_t> outliers_of(const std::vector<double>& times) {
  constexpr double k_scale = 0.6745;
  constexpr double k_far = 3.5;
  const double median = median_of(times);
  std::vector<double> distances(times.size());
  std::transform(times.begin(), times.end(), distances.begin(),
                 [median](double time) { return std::abs(time - median); });
  const double spread = median_of(distances);
  std::vector<std::size_t> out;
  if (spread == 0 || times.size() < k_fewest) return out;
  for (std::size_t i = 0; i < times.size(); ++i)
    if (k_scale * distances[i] / spread > k_far) out.push_back(i);
  return out;
}

Summary summarize(const std::vector<double>& times, std::uint64_t seed) {
  Summary out;
  out.count = times.size();
  if (times.empty()) return out;
  const auto count = static_cast<double>(times.size());
  out.mean = std::accumulate(times.begin(), times.end(), 0.0) / count;
  out.median = median_of(times);
  const auto [min, max] = std::minmax_element(times.begin(), times.end());
  out.min = *min;
  out.max = *max;
  double squares = 0;
  for (const double time : times) squares += (time - out.mean) * (time - out.mean);
  if (times.size() > 1) out.deviation = std::sqrt(squares / (count - 1));
  Resampler resampler(seed);
  out.median_interval = interval_of([&] { return median_of(resampler.draw(times)); });
  out.outliers = outliers_of(times);
  return out;
}

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::faster:
      return "faster";
    case Verdict::slower:
      return "slower";
    case Verdict::no_difference:
      return "no difference";
    case Verdict::unknown:
      break;
  }
  return "unknown";
}

Comparison compare_times(const std::vector<double>& a, const std::vector<double>& b, std::uint64_t seed) {
  Comparison out;
  const double median = median_of(a);
  if (std::min(a.size(), b.size()) < k_fewest || median <= 0) return out;
  out.measured = true;
  out.ratio = median_of(b) / median;
  Resampler resampler(seed);
  out.interval = interval_of([&] {
    const double of_a = median_of(resampler.draw(a));
    const double of_b = median_of(resampler.draw(b));
    return of_a > 0 ? of_b / of_a : out.ratio;
  });
  const bool alike = out.interval.low >= 1 - k_alike && out.interval.high <= 1 + k_alike;
  out.verdict = out.interval.low > 1 + k_noise    ? Verdict::slower
                : out.interval.high < 1 - k_noise ? Verdict::faster
                : alike                           ? Verdict::no_difference
                                                  : Verdict::unknown;
  return out;
}

}  // namespace orch::probe
