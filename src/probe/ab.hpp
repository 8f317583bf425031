// The same probe of several variants (GPU modes, values of a variable), held against each other. Pure.
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
  int exit_status = 0;    // of the probe
  std::string error;      // why it did not run; empty
  Value probe;            // probe.json; null where it did not get so far
};

// "appimage-orch/ab/1" (docs/schemas/ab-1.schema.json):
//  variants: in the order in which they ran;
//  fields: what differs between any two, [{field, values: {VARIANT: value or null}}], tools' texts left out;
//  ranking: best first, [{variant, reason}]: by what draws OpenGL (hardware, virtualised, software), then Vulkan, then EGL, then
//    whether the probe was complete; equals stay in their order. A variant that did not run is last.
Value ab_report(const std::string& kind, const std::vector<Variant>& variants);

// The first of the ranking that ran; empty if none did.
std::string winner_of(const Value& report);

}  // namespace orch::probe
