// The profile of a probe: the user's, with an overlay of the tools on top of its overlays.
#pragma once

#include "base/result.hpp"
#include "cli/command.hpp"
#include "model/profile.hpp"
#include "package/source.hpp"
#include "probe/probe_script.hpp"

#include <string>
#include <vector>

namespace orch::cli {

using base::Result;

// Names of the packages that have the tools of a probe, as sources of that kind call them; none where it needs no tool.
std::vector<std::string> tool_packages(probe::ProbeKind kind, package::SourceKind source);

// Writes STATE/probes/NAME-DIGEST/KIND.toml, which extends `profile`, and beside it a copy of that one's lock file, so that all
// layers but the new one stay what they are. Gives its path.
Result<std::string> write_probe_profile(const Session& session, const model::Profile& profile,
                                        probe::ProbeKind kind, const std::vector<std::string>& packages);

}  // namespace orch::cli
