// What stands against a launch with muvm: first of all what muvm itself would fail on silently.
#pragma once

#include "launch/launcher.hpp"
#include "launch/muvm_probe.hpp"
#include "launch/vm_record.hpp"

#include <optional>
#include <string>
#include <vector>

namespace orch::launch {

struct MuvmState {
  std::optional<std::string> path;  // of muvm
  Result<MuvmFeatures> features;
  VmChoice vm;
};

std::vector<Check> check_muvm(const model::LaunchSpec& spec, const Host& host, const MuvmState& state);

// True for what the guest does not see, or sees its own of: /run, /dev, /proc, /sys, /tmp/.X11-unix and what
// lies below.
bool is_hidden_in_guest(const std::string& path);

}  // namespace orch::launch
