// muvm's command line for a launch. Pure.
#pragma once

#include "launch/environment.hpp"
#include "launch/muvm_probe.hpp"
#include "model/launch.hpp"

#include <string>
#include <utility>
#include <vector>

namespace orch::launch {

inline constexpr const char* k_guest_rootfs = "/run/fex-emu/rootfs";
// COMMAND as muvm gets it, and as it is quoted in its messages.
inline constexpr const char* k_guest_shell = "/bin/sh";

enum class VmUse { own, shared };

// PATH OPTIONS -- /bin/sh -c SCRIPT …
//  - Options that came after 0.1.1 are passed only where the help has them, and as --name=value.
//  - Images bottom first, with absolute paths; FEX_ROOTFS, because a user's own FEX configuration would
//  override muvm's.
//  - The script goes to the working directory (muvm starts everything in the home directory), runs the
//  guest_pre
//    commands, and becomes the application. What muvm cannot carry (the words -h and --help, bytes that are
//    no UTF-8) is written into the script.
//  - A script as AppRun is thus run by the kernel with the host's interpreter; only the ELF files it starts
//  are
//    emulated. docs/design/muvm-launcher.md says why that, and not FEXBash, is the choice.
//  - Joining a VM that runs (VmUse::shared): --interactive --tty, nothing that muvm would ignore.
std::vector<std::string> muvm_command(const model::LaunchSpec& spec, const std::string& path,
                                      const MuvmFeatures& features, const sys::Environment& host, VmUse use);

// What is passed by -e, in order: FEX_ROOTFS, TERM, an empty LD_LIBRARY_PATH where the host has one (muvm
// would hand it on), then app_environment().
Pairs muvm_environment(const model::LaunchSpec& spec, const sys::Environment& host);

}  // namespace orch::launch
