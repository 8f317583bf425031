// What of the host muvm and FEX need, apart from the stack: each as far as it can be known before a boot.
#pragma once

#include "launch/launcher.hpp"
#include "launch/muvm_check.hpp"

#include <vector>

namespace orch::launch {

// The guest has an empty one of its own in its place, where the host has it.
inline constexpr const char* k_x11_folder = "/tmp/.X11-unix";
inline constexpr const char* k_x11_folder_remedy =
    "make the directory /tmp/.X11-unix on the host before the VM starts (mode 1777; an X server makes it)";

// Failed only where muvm is sure to end; where an unusual installation may well work it is a warning (Check::ends_launches), for a
// wrong guess must not keep muvm from trying.
std::vector<Check> check_muvm_host(const model::LaunchSpec& spec, const Host& host, const MuvmState& state);

}  // namespace orch::launch
