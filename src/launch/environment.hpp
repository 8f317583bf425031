// The environment of the application: what an AppImage's own runtime would set, what the profile asks for,
// and what of the host must not get in.
#pragma once

#include "model/launch.hpp"
#include "sys/process.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orch::launch {

using Pairs = std::vector<std::pair<std::string, std::string>>;

// "${appdir}" in `text` replaced; nothing else is expanded here.
std::string expand_appdir(std::string text, std::string_view appdir);

// APPDIR, APPIMAGE, ARGV0, OWD (type2-runtime's names; those without a value are left out), then the spec's
// own, with
// ${appdir} expanded. Each name once, the last value wins, in order of first appearance.
Pairs app_environment(const model::LaunchSpec& spec);

// True for variables that would make the guest look for libraries, plug-ins or drivers in the host's folders:
// LD_*, and the module paths of GTK, GStreamer, Qt, Python, Perl, GL, Vulkan, VA-API and glibc (a table).
bool leads_to_host_libraries(std::string_view name);

// The host's environment without leads_to_host_libraries(), with a PATH of the guest's standard folders, and
// app_environment() on top.
sys::Environment native_environment(const model::LaunchSpec& spec, const sys::Environment& host);

inline constexpr const char* k_guest_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

}  // namespace orch::launch
