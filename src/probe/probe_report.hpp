// probe.json: what a probe found, from what its script printed.
#pragma once

#include "base/value.hpp"
#include "probe/probe_script.hpp"

#include <string>
#include <vector>

namespace orch::probe {

// The image with the tools that the stack lacks, below all of the stack's.
struct ToolsOverlay {
  std::vector<std::string> packages;  // that were asked for
  std::string problem;  // why there is none all the same; empty: there is, or none was to be made
  bool wanted() const { return !packages.empty() || !problem.empty(); }
};

// "appimage-orch/probe/1": docs/schemas/probe-1.schema.json. `promised_display`: what the launcher says that the guest's DISPLAY is
// (with muvm ":1", from x11bridge); empty: nothing. "complete": every tool was there and answered, the script came to its end, and
// a probe of the display found that DISPLAY.
base::Value probe_report(ProbeKind kind, const ProbeOutput& output, const std::string& promised_display = {},
                         const ToolsOverlay& overlay = {});

}  // namespace orch::probe
