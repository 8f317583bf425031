// What the views of bench.json (export, comparison, plots) read of it. What is absent or has another type counts as not there, so
// that a document of an interrupted benchmark, or one that was edited, is shown as far as it goes.
#pragma once

#include "base/value.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace orch::probe {

using base::Value;

struct BenchRun {
  std::int64_t number = 0;                  // its place in the whole order, from 1
  std::optional<double> seconds;            // set exactly where the run was successful
  std::optional<std::int64_t> exit_status;  // of the application
};

// One kind of start of one variant.
struct BenchResult {
  std::string variant;  // empty: there are none
  std::string start;    // "cold" or "warm"
  std::string given_up;
  Value summary;  // null: no successful run
  std::vector<BenchRun> runs;

  std::vector<double> times() const;  // of the successful runs, in their order
  std::string label() const;          // "drm, cold"; "cold" without a variant
};

std::vector<BenchResult> results_of(const Value& bench);

// What is missing in a bench.json for a page of it, as "results[0].runs"; empty: nothing.
std::string defect_of(const Value& bench);

// "12.3 ms", "1.234 s", "123.4 s": more digits than people need, and as many as a comparison does.
std::string precise_seconds(double seconds);

}  // namespace orch::probe
