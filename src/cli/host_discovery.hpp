// What of this host takes part in a launch by muvm without being named in its profile.
#pragma once

#include "load/layers.hpp"
#include "model/profile.hpp"
#include "probe/discovery.hpp"
#include "sys/process.hpp"

#include <optional>
#include <string>
#include <vector>

namespace orch::cli {

// All that was looked at: muvm as the profile wants it, FEX, and the images that "auto" may stand for.
std::vector<probe::Candidate> discover(const model::Profile& profile, const sys::Environment& environment);

// What stands for "auto" in a profile.
load::Host automatic_layers(const std::vector<probe::Candidate>& candidates, const std::string& launcher);

// The muvm that was asked for, there or not, or was found where PATH does not lead.
std::optional<std::string> muvm_beside_path(const std::vector<probe::Candidate>& candidates);

}  // namespace orch::cli
