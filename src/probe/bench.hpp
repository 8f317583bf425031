// What a benchmark of starts does and says: the order of the starts, and the document of what they took. Pure; who starts
// and measures is given.
#pragma once

#include "base/value.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch::probe {

using base::Value;

// cold: nothing of the stack is in the page cache; warm: all of it that a start before has read.
enum class StartKind { cold, warm };
std::string_view to_string(StartKind kind);  // "cold", "warm"

struct BenchPlan {
  std::vector<std::string> variants;  // names; one that is empty where there are none
  std::size_t cold = 0;               // measured starts of each variant
  std::size_t warm = 0;
  std::size_t warmup = 0;  // starts of each variant that are not measured, before the warm ones
  std::uint64_t seed = 0;
  bool shuffled = true;  // the variants of each round; else always in their order
};

struct Start {
  std::size_t variant = 0;  // index
  StartKind kind = StartKind::warm;
  bool measured = true;
};

// Warm-ups (also before cold starts alone: the first start of all may have to make something once), then rounds of warm starts, then rounds of cold ones: a round has each variant once, so that what changes slowly (heat,
// clock rates) meets all of them alike, and no cold start stands before a warm one. The same seed gives the same order.
std::vector<Start> schedule(const BenchPlan& plan);

// When what happened in one start; in this order.
struct StartMoments {
  using Time = std::chrono::steady_clock::time_point;
  Time begin;                    // before the look whether the stack is up to date
  std::optional<Time> built;     // after it
  std::optional<Time> launched;  // the launcher's checks are done
  std::optional<Time> began;     // the application's command has
  std::optional<Time> ready;
  std::optional<Time> ended;  // the launcher is done with it
};

// Seconds, one after the other; nullopt: not known, or not reached.
struct StartPhases {
  std::optional<double> build;      // looking whether the stack is up to date
  std::optional<double> preflight;  // the launcher's checks
  std::optional<double> boot;       // until the application's command begins: a VM's boot, the merged view
  std::optional<double> ready;      // from there until the condition was met
  std::optional<double> exit;       // from there to the end; not part of the start
};
StartPhases phases_of(const StartMoments& moments);
// From begin to ready; nullopt: it did not get ready.
std::optional<double> seconds_of(const StartMoments& moments);

struct Measured {
  Start start;
  std::optional<double> seconds;  // from the build to readiness; nullopt: it did not get ready
  std::string outcome;            // the run report's
  int exit_status = 0;
  std::string error;      // why it did not get ready; empty
  std::string directory;  // of its evidence, relative to the benchmark's
  StartPhases phases;
};

// "appimage-orch/bench/1" (docs/schemas/bench-1.schema.json). `header`: the members in front of "results". One result for each
// variant and kind that the plan has, warm before cold; its runs in the order in which they were made. Warm-ups are left out.
// `given_up`: for each variant why its starts were not made (its warm-up did not get ready); empty for the others.
Value bench_report(const Value& header, const BenchPlan& plan, const std::vector<Measured>& runs,
                   const std::vector<std::string>& given_up);

// Seconds that the rest will take, by the mean of those that were made; nullopt before the first.
std::optional<double> time_left(double spent, std::size_t done, std::size_t all);

}  // namespace orch::probe
