// What a handful of measured times says: of one kind of start, and of two held against each other. Pure; the same numbers and the
// same seed give the same answer everywhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace orch::probe {

// Of fewer times the interval cannot hold the median as often as it says (smallest to largest of 5: 94 %, of 3: 75 %), and one is
// always far from the others.
inline constexpr std::size_t k_fewest = 5;

struct Interval {
  double low = 0;
  double high = 0;
};

// Of times in seconds. All 0 for an empty list.
struct Summary {
  std::size_t count = 0;
  double mean = 0;
  double median = 0;
  double deviation = 0;  // standard deviation of the sample (n-1); 0 for one time
  double min = 0;
  double max = 0;
  Interval median_interval;           // 95 %, by bootstrap
  std::vector<std::size_t> outliers;  // indexes, in order
};
Summary summarize(const std::vector<double>& times, std::uint64_t seed);

// The middle one, or the mean of the two in the middle; 0 for an empty list.
double median_of(std::vector<double> times);

// Indexes of what lies far from the median: modified z-score above 3.5, that is 0.6745 (x - median) / MAD, where MAD is the
// median of the distances from the median (Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993). None of fewer than 5.
std::vector<std::size_t> outliers_of(const std::vector<double>& times);

enum class Verdict { faster, slower, no_difference, unknown };
std::string_view to_string(Verdict verdict);  // "faster", "slower", "no difference", "unknown"

// A difference counts where the whole interval lies more than k_noise away from 1.
inline constexpr double k_noise = 0.01;
// Two are alike where the whole interval lies within k_alike of 1. One that neither of these is too wide to tell.
inline constexpr double k_alike = 0.05;
struct Comparison {
  bool measured = false;  // else nothing is known: fewer than k_fewest times on a side, or a median of 0
  double ratio = 0;       // median of b / median of a
  Interval interval;      // of the ratio, 95 %, by bootstrap
  Verdict verdict = Verdict::unknown;  // of b
};
Comparison compare_times(const std::vector<double>& a, const std::vector<double>& b, std::uint64_t seed);

}  // namespace orch::probe
