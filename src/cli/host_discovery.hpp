// What of this host takes part in a launch by muvm without being named in its profile.
#pragma once

#include "cli/command.hpp"
#include "load/layers.hpp"
#include "model/profile.hpp"
#include "probe/discovery.hpp"
#include "probe/gpu_mode.hpp"
#include "sys/process.hpp"

#include <optional>
#include <string>
#include <vector>

namespace orch::cli {

// All that was looked at: muvm as the profile wants it, FEX, and the images that "auto" may stand for.
std::vector<probe::Candidate> discover(const model::Profile& profile, const sys::Environment& environment);

// What stands for "auto" in a profile.
load::Host automatic_layers(const std::vector<probe::Candidate>& candidates, const std::string& launcher);

// What stands for gpu_mode = "auto" on this host. $APPIMAGE_ORCH_SYSFS stands for /sys, for tests on machines that have another GPU.
probe::GpuChoice choose_gpu_mode(const Session& session, const std::string& profile);

// What the next choice for this profile goes by: the first of an A/B of its modes, whose evidence is in `directory`.
Result<> remember_gpu_mode(const Session& session, const std::string& profile, const std::string& mode,
                           const std::string& directory);

// The next choice goes by the host alone again; says whether it did not before.
Result<bool> forget_gpu_mode(const Session& session, const std::string& profile);

// The muvm that was asked for, there or not, or was found where PATH does not lead.
std::optional<std::string> muvm_beside_path(const std::vector<probe::Candidate>& candidates);

}  // namespace orch::cli
