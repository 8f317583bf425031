// muvm's command line for a launch. Pure.
#pragma once

#include "launch/environment.hpp"
#include "launch/muvm_probe.hpp"
#include "model/launch.hpp"

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

namespace orch::launch {

inline constexpr const char* k_guest_rootfs = "/run/fex-emu/rootfs";
// COMMAND as muvm gets it, and as it is quoted in its messages.
inline constexpr const char* k_guest_shell = "/bin/sh";

// PATH OPTIONS -- /bin/sh -c SCRIPT …
//  - Options that came after 0.1.1 are passed only where the help has them, and as --name=value.
//  - Images bottom first, with absolute paths; FEX_ROOTFS, because a user's own FEX configuration would override muvm's.
//  - The whole stack, and --interactive --tty, always: a muvm that starts a VM ignores the latter, one that joins a VM the
//    former, and which of them it is may turn between a look at the lock and muvm's own.
//  - The script (guest_script.hpp) goes to the working directory (muvm starts everything in the home directory), runs the
//    guest_pre commands, then the application, and keeps the guest's record. What muvm cannot carry (the words -h and
//    --help, bytes that are no UTF-8) is written into the script.
//  - A script as AppRun is run by the kernel with the host's interpreter, or with script_shell = "fexbash" by FEX's
//    emulated shell; only ELF files are emulated in either case. docs/design/muvm-launcher.md has the choice.
std::vector<std::string> muvm_command(const model::LaunchSpec& spec, const std::string& path,
                                      const MuvmFeatures& features, const sys::Environment& host);

// What the guest's shell starts: AppRun, or FEX's shell with it; without the application's arguments.
std::vector<std::string> muvm_program(const model::LaunchSpec& spec);

// What the guest's command is given on purpose, in order: FEX_ROOTFS, TERM, an empty LD_LIBRARY_PATH where the host has one
// (muvm would hand it on), then app_environment(). All but HOME goes through -e; HOME, which muvm sets itself, and what is
// no UTF-8 are exported by the script.
Pairs muvm_environment(const model::LaunchSpec& spec, const sys::Environment& host);

// What the application then has: the variables that muvm hands on, those that it sets, and muvm_environment() in their order
// of precedence. HOME is that of the user database. Left out is what cannot be told from outside: before 0.5 the
// guest's XDG_RUNTIME_DIR, which ends in random letters, and in a VM that is joined what came with its start
// (DISPLAY, XAUTHORITY, and whatever its first command was given).
sys::Environment muvm_guest_environment(const model::LaunchSpec& spec, const sys::Environment& host,
                                        uid_t uid, const MuvmFeatures& features, bool reused);

}  // namespace orch::launch
