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

// Names that GTK, Qt and SDL have for X11, and what stands for any.
bool reaches_x11(std::string_view choice) {
  return choice == "x11" || choice == "xcb" || choice == "*";
}

std::vector<std::string> parts_of(HarmfulVariable::Parts parts, const std::string& value) {
  std::vector<std::string> out;
  if (parts == Parts::whole) return {value};
  std::string list = value;
  const char between = parts == Parts::choices ? ',' : ':';
  if (parts == Parts::choices) std::replace(list.begin(), list.end(), ';', between);
  for (const std::string_view part : base::split(list, between)) out.emplace_back(base::trim(part));
  return out;
}

bool fits(const HarmfulVariable& row, const std::string& value) {
  if (value.empty()) return false;
  const std::vector<std::string> parts = parts_of(row.parts, value);
  if (row.parts == Parts::choices && std::any_of(parts.begin(), parts.end(), reaches_x11)) return false;
  return std::any_of(parts.begin(), parts.end(), [&row](const std::string& part) {
    return std::any_of(row.patterns.begin(), row.patterns.end(), [&part](std::string_view pattern) {
      return !pattern.empty() && ::fnmatch(std::string(pattern).c_str(), part.c_str(), 0) == 0;
    });
  });
}

// Who gave the application this value; empty where the launcher did.
std::string giver(const HarmfulVariable& row, const std::string& value, const Pairs& given,
                  const Host& host) {
  const auto same = [&](const auto& pair) { return pair.first == row.name && pair.second == value; };
  if (std::any_of(given.begin(), given.end(), same)) return "in the profile, or by --env";
  const auto found = host.environment.find(std::string(row.name));
  return found != host.environment.end() && found->second == value ? "in this environment" : "";
}

// A toolkit's list of what it may draw on.
HarmfulVariable wayland_choice(std::string_view name) {
  return {name, {"wayland*"}, k_no_wayland, k_x11_remedy, Only::muvm, Where::application, Parts::choices};
}

}  // namespace

// Reasons for the rows about muvm: what it hands on and sets (docs/design/muvm-launcher.md), and that it forwards X11 alone.
const std::vector<HarmfulVariable>& harmful_variables() {
  static const std::vector<HarmfulVariable> k_rows = {
      {"LIBGL_ALWAYS_SOFTWARE", {"1", "[tTyY]*"}, k_software, k_software_remedy},
      {"GALLIUM_DRIVER", {"llvmpipe", "softpipe", "swrast"}, k_software, k_software_remedy},
      {"MESA_LOADER_DRIVER_OVERRIDE",
       {"*"},
       "Mesa loads this driver, whatever GPU and GPU mode there is",
       "take it out: muvm sets it where the machine or the GPU mode needs it"},
      {"LIBGL_DRIVERS_PATH", {"*"}, k_drivers, k_drivers_remedy},
      {"VK_ICD_FILENAMES", {"*"}, k_drivers, k_drivers_remedy},
      {"VK_DRIVER_FILES", {"*"}, k_drivers, k_drivers_remedy},
      {"__EGL_VENDOR_LIBRARY_FILENAMES", {"*"}, k_drivers, k_drivers_remedy},
      {"__GLX_VENDOR_LIBRARY_NAME",
       {"nvidia"},
       "GLX asks for NVIDIA's driver, which the stack has not got",
       "take it out"},
      wayland_choice("GDK_BACKEND"),
      wayland_choice("QT_QPA_PLATFORM"),
      wayland_choice("SDL_VIDEODRIVER"),
      wayland_choice("CLUTTER_BACKEND"),
      {"MOZ_ENABLE_WAYLAND", {"1"}, k_no_wayland, "take it out", Only::muvm},
      {"ELECTRON_OZONE_PLATFORM_HINT", {"wayland"}, k_no_wayland, k_x11_remedy, Only::muvm},
      {"WAYLAND_DISPLAY",
       {"*"},
       "muvm's guest has X11 only, and toolkits try Wayland first where this is set",
       "take it out",
       Only::muvm},
      {"LD_PRELOAD",
       {"*"},
       "the loader loads it into every program, and a library of the host is for another machine, or needs "
       "another libc",
       "take it out, or name a file of the application or the stack"},
      {"LD_LIBRARY_PATH",
       {"/lib*", "/usr/lib*", "/usr/local/lib*"},
       "the host's libraries come before those that the application brings",
       "name folders of the application alone, by ${appdir}",
       Only::any,
       Where::application,
       Parts::elements},
      {"FEX_ROOTFS",
       {"*"},
       "FEX looks there for x86_64 files, and not in the stack",
       "take it out",
       Only::muvm},
      {"LD_PRELOAD",
       {"*"},
       "the launcher and all tools are started with it",
       "unset it before this tool is started",
       Only::any,
       Where::tools},
      {"LD_LIBRARY_PATH",
       {"*"},
       "muvm and libkrun are started with it",
       "unset it before this tool is started",
       Only::muvm,
       Where::tools},
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
