// The same probe or run of several variants (GPU modes, values of a variable), held against each other. Pure.
#pragma once

#include "base/value.hpp"

#include <string>
#include <vector>

namespace orch::probe {

using base::Value;

struct Variant {
  std::string name;       // "drm", "LIBGL_ALWAYS_SOFTWARE=1"
  std::string directory;  // of its evidence
  std::string outcome;    // the run report's
  int exit_status = 0;    // as `probe` or `run` alone would have ended
  std::string error;      // why it did not run; empty
  Value document;         // a probe: probe.json, null where it did not get so far; a run: run_facts()
};

struct AbComparison {
  std::string kind;     // "display", "gpu", "devices"; "run"
  std::string profile;  // its name
  std::vector<Variant> variants;
  std::vector<std::string> left_out;  // names of those that it did not come to
};

inline constexpr const char* k_run_kind = "run";

// What of a run report is compared: how it ended and what was said of it; neither times nor sizes, which differ between any two.
Value run_facts(const Value& report);

// "appimage-orch/ab/1" (docs/schemas/ab-1.schema.json):
//  variants: in the order in which they ran; left_out: the others;
//  fields: what differs between any two, [{field, values: {VARIANT: value or null}}], tools' texts left out;
//  ranking: best first, [{place, variant, reason}]; equals share a place and stay in their order. What did not run is last.
//    Probes: by what draws OpenGL (hardware, virtualised, software), then Vulkan, then EGL, then whether the probe was complete.
//    Runs: what ended with status 0 before what failed, crashed or took too long. How long it took is not asked.
Value ab_report(const AbComparison& comparison);

// The first of the ranking, if it ran (of runs: with status 0); empty if none did.
std::string winner_of(const Value& report);
// The one that shares the winner's place; empty where none does.
std::string equal_of_winner(const Value& report);

}  // namespace orch::probe
