#include "launch/harmful_variables.hpp"

#include "base/text.hpp"
#include "launch/environment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fnmatch.h>
#include <string>

namespace orch::launch {

namespace {

using Where = HarmfulVariable::Where;
using Only = HarmfulVariable::Launcher;
using Parts = HarmfulVariable::Parts;

constexpr std::string_view k_software = "OpenGL is drawn by the processor, whatever GPU there is";
constexpr std::string_view k_software_remedy = "take it out, unless that is what you want to see";
constexpr std::string_view k_no_wayland = "muvm's guest has X11 only, so the toolkit finds no display";
constexpr std::string_view k_x11_remedy = "take it out, or name X11 (x11, xcb)";
constexpr std::string_view k_drivers = "only the drivers that it names are looked at";
constexpr std::string_view k_drivers_remedy = "take it out, unless it names files of the stack";

bool fits(const HarmfulVariable& row, const std::string& value) {
  const auto matches = [&row](const std::string& text) {
    return std::any_of(row.patterns.begin(), row.patterns.end(), [&text](std::string_view pattern) {
      return !pattern.empty() && ::fnmatch(std::string(pattern).c_str(), text.c_str(), 0) == 0;
    });
  };
  if (value.empty()) return false;
  if (row.parts == Parts::whole) return matches(value);
  const std::vector<std::string_view> elements = base::split(value, ':');
  return std::any_of(elements.begin(), elements.end(),
                     [&](std::string_view element) { return matches(std::string(element)); });
}

// Who gave the application this value; empty where the launcher did.
std::string giver(const HarmfulVariable& row, const std::string& value, const Pairs& given,
                  const Host& host) {
  const auto same = [&](const auto& pair) { return pair.first == row.name && pair.second == value; };
  if (std::any_of(given.begin(), given.end(), same)) return "in the profile, or by --env";
  const auto found = host.environment.find(std::string(row.name));
  return found != host.environment.end() && found->second == value ? "in this environment" : "";
}

}  // namespace

// Reasons for the rows about muvm: what it hands on and sets (docs/design/muvm-launcher.md), and that it forwards X11 alone.
const std::vector<HarmfulVariable>& harmful_variables() {
  static const std::vector<HarmfulVariable> k_rows = {
      {"LIBGL_ALWAYS_SOFTWARE",
       {"1", "[tTyY]*", ""},
       Where::application,
       Only::any,
       Parts::whole,
       k_software,
       k_software_remedy},
      {"GALLIUM_DRIVER",
       {"llvmpipe", "softpipe", "swrast"},
       Where::application,
       Only::any,
       Parts::whole,
       k_software,
       k_software_remedy},
      {"MESA_LOADER_DRIVER_OVERRIDE",
       {"*", "", ""},
       Where::application,
       Only::any,
       Parts::whole,
       "Mesa loads this driver, whatever GPU and GPU mode there is",
       "take it out: muvm sets it where the machine or the GPU mode needs it"},
      {"LIBGL_DRIVERS_PATH",
       {"*", "", ""},
       Where::application,
       Only::any,
       Parts::whole,
       k_drivers,
       k_drivers_remedy},
      {"VK_ICD_FILENAMES",
       {"*", "", ""},
       Where::application,
       Only::any,
       Parts::whole,
       k_drivers,
       k_drivers_remedy},
      {"VK_DRIVER_FILES",
       {"*", "", ""},
       Where::application,
       Only::any,
       Parts::whole,
       k_drivers,
       k_drivers_remedy},
      {"__EGL_VENDOR_LIBRARY_FILENAMES",
       {"*", "", ""},
       Where::application,
       Only::any,
       Parts::whole,
       k_drivers,
       k_drivers_remedy},
      {"__GLX_VENDOR_LIBRARY_NAME",
       {"nvidia", "", ""},
       Where::application,
       Only::any,
       Parts::whole,
       "GLX asks for NVIDIA's driver, which the stack has not got",
       "take it out"},
      {"GDK_BACKEND",
       {"wayland*", "", ""},
       Where::application,
       Only::muvm,
       Parts::whole,
       k_no_wayland,
       k_x11_remedy},
      {"QT_QPA_PLATFORM",
       {"wayland*", "", ""},
       Where::application,
       Only::muvm,
       Parts::whole,
       k_no_wayland,
       k_x11_remedy},
      {"SDL_VIDEODRIVER",
       {"wayland*", "", ""},
       Where::application,
       Only::muvm,
       Parts::whole,
       k_no_wayland,
       k_x11_remedy},
      {"CLUTTER_BACKEND",
       {"wayland*", "", ""},
       Where::application,
       Only::muvm,
       Parts::whole,
       k_no_wayland,
       k_x11_remedy},
      {"MOZ_ENABLE_WAYLAND",
       {"1", "", ""},
       Where::application,
       Only::muvm,
       Parts::whole,
       k_no_wayland,
       "take it out"},
      {"ELECTRON_OZONE_PLATFORM_HINT",
       {"wayland", "", ""},
       Where::application,
       Only::muvm,
       Parts::whole,
       k_no_wayland,
       k_x11_remedy},
      {"WAYLAND_DISPLAY",
       {"*", "", ""},
       Where::application,
       Only::muvm,
       Parts::whole,
       "muvm's guest has X11 only, and toolkits try Wayland first where this is set",
       "take it out"},
      {"LD_PRELOAD",
       {"*", "", ""},
       Where::application,
       Only::any,
       Parts::whole,
       "the loader loads it into every program, and a library of the host is for another machine, or needs "
       "another libc",
       "take it out, or name a file of the application or the stack"},
      {"LD_LIBRARY_PATH",
       {"/lib*", "/usr/lib*", "/usr/local/lib*"},
       Where::application,
       Only::any,
       Parts::elements,
       "the host's libraries come before those that the application brings",
       "name folders of the application alone, by ${appdir}"},
      {"FEX_ROOTFS",
       {"*", "", ""},
       Where::application,
       Only::muvm,
       Parts::whole,
       "FEX looks there for x86_64 files, and not in the stack",
       "take it out"},
      {"LD_PRELOAD",
       {"*", "", ""},
       Where::tools,
       Only::any,
       Parts::whole,
       "the launcher and all tools are started with it",
       "unset it before this tool is started"},
      {"LD_LIBRARY_PATH",
       {"*", "", ""},
       Where::tools,
       Only::muvm,
       Parts::whole,
       "muvm and libkrun are started with it",
       "unset it before this tool is started"},
  };
  return k_rows;
}

std::vector<Check> check_variables(const model::LaunchSpec& spec, const sys::Environment& guest,
                                   const Host& host) {
  const Pairs given = app_environment(spec);
  std::vector<Check> out;
  for (const HarmfulVariable& row : harmful_variables()) {
    if (row.launcher == Only::muvm && spec.launcher != "muvm") continue;
    const bool tools = row.where == Where::tools;
    const sys::Environment& from = tools ? host.environment : guest;
    const auto found = from.find(std::string(row.name));
    if (found == from.end() || !fits(row, found->second)) continue;
    const std::string by = tools ? "in this environment" : giver(row, found->second, given, host);
    if (by.empty()) continue;
    out.push_back({fmt::format("variable-{}", row.name), Check::Status::warning,
                   fmt::format("{} is set {}: {}", row.name, by, row.why), std::string(row.remedy)});
  }
  if (out.empty()) out.push_back({"variables", Check::Status::ok, "no setting that is known to do harm", ""});
  return out;
}

}  // namespace orch::launch
