// probe.json: what a probe found, from what its script printed.
#pragma once

#include "base/value.hpp"
#include "probe/probe_script.hpp"

#include <string>

namespace orch::probe {

// "appimage-orch/probe/1": docs/schemas/probe-1.schema.json. `promised_display`: what the launcher says that the guest's DISPLAY is
// (with muvm ":1", from x11bridge); empty: nothing. "complete": every tool was there and answered, the script came to its end, and
// a probe of the display found that DISPLAY.
base::Value probe_report(ProbeKind kind, const ProbeOutput& output, const std::string& promised_display = {});

}  // namespace orch::probe
