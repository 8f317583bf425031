// probe.json: what a probe found, from what its script printed.
#pragma once

#include "base/value.hpp"
#include "probe/probe_script.hpp"

namespace orch::probe {

// "appimage-orch/probe/1": docs/schemas/probe-1.schema.json
base::Value probe_report(ProbeKind kind, const ProbeOutput& output);

// Whether every tool was there and answered, and the script came to its end.
bool is_complete(const ProbeOutput& output);

}  // namespace orch::probe
