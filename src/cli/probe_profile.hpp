// The profile of a probe: the user's, with an overlay of the tools among its layers.
#pragma once

#include "base/result.hpp"
#include "cli/command.hpp"
#include "model/profile.hpp"
#include "package/source.hpp"
#include "probe/probe_script.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace orch::cli {

using base::Result;

// The layer's name in the profile's list of layers and in the lock.
inline constexpr std::string_view k_tools_layer = "deps-probe-tools";

// Names of the packages that have these tools, as sources of that kind call them; each once.
std::vector<std::string> tool_packages(const std::vector<std::string>& tools, package::SourceKind source);

// Whether the package has nothing but drivers for graphics, as Debian and Fedora name them.
bool is_driver_package(std::string_view package);

// Writes STATE/probes/NAME-DIGEST/KIND.toml, which extends `profile`, and beside it a copy of that one's lock file, so that all
// layers but the new one stay what they are. Gives its path.
Result<std::string> write_probe_profile(const Session& session, const model::Profile& profile,
                                        probe::ProbeKind kind, const std::vector<std::string>& packages);

}  // namespace orch::cli
