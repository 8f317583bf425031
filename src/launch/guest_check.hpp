// The preflight's look from inside: a launch of its own with the stack of the application's, which starts nothing but a few
// shell commands.
#pragma once

#include "launch/launcher.hpp"

#include <vector>

namespace orch::launch {

// Checks "guest-start" (it came up), "guest-stack" (muvm: every image is mounted, and their overlay is there),
// "guest-interpreter" (x86_64's loader is at its path), "guest-program" (a program of the stack runs), "guest-end" (only where
// it was not finished), and, where the host has a display, "guest-display" or, where something is wrong with it, "guest-x11bridge" or "guest-x11-folder" (muvm: the guest has the one that x11bridge promises,
// and the socket for it). An Error as Launcher::run() has it.
Result<std::vector<Check>> check_guest(const model::LaunchSpec& spec, Launcher& launcher,
                                       sys::SignalSession& signals);

// From what the commands printed: lines "orch-check ID STATUS WORDS".
std::vector<Check> parse_guest_checks(std::string_view output);

}  // namespace orch::launch
