#include "cli/probe_profile.hpp"

#include "base/text.hpp"
#include "cli/paths.hpp"
#include "format/toml.hpp"
#include "hash/digest.hpp"
#include "package/lock_file.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace orch::cli {

using package::SourceKind;
using probe::ProbeKind;

namespace {

struct ToolPackage {
  std::string_view tool;
  const char* deb;
  const char* rpm;
};

constexpr std::array k_packages = {ToolPackage{"xdpyinfo", "x11-utils", "xdpyinfo"},
                                   ToolPackage{"glxinfo", "mesa-utils", "glx-utils"},
                                   ToolPackage{"eglinfo", "mesa-utils", "egl-utils"},
                                   ToolPackage{"vulkaninfo", "vulkan-tools", "vulkan-tools"}};

constexpr std::array<std::string_view, 10> k_drivers = {
    "libgl1-mesa-dri", "libglx-mesa0",     "libegl-mesa0", "mesa-libgallium", "mesa-vulkan-drivers",
    "mesa-va-drivers", "mesa-dri-drivers", "mesa-libGL",   "mesa-libEGL",     "libgl1-amber-dri"};

}  // namespace

std::vector<std::string> tool_packages(const std::vector<std::string>& tools, SourceKind source) {
  std::vector<std::string> out;
  for (const ToolPackage& item : k_packages) {
    const std::string name = source == SourceKind::dnf ? item.rpm : item.deb;
    if (std::find(tools.begin(), tools.end(), item.tool) != tools.end() &&
        std::find(out.begin(), out.end(), name) == out.end())
      out.push_back(name);
  }
  return out;
}

bool is_driver_package(std::string_view package) {
  return std::find(k_drivers.begin(), k_drivers.end(), package) != k_drivers.end();
}

Result<std::string> write_probe_profile(const Session& session, const model::Profile& profile, ProbeKind kind,
                                        const std::vector<std::string>& packages) {
  const std::string folder = fmt::format("{}/probes/{}-{}", session.state_dir, profile.name,
                                         hash::digest_of(profile.path).hex().substr(0, 8));
  ORCH_CHECK(sys::make_dirs(folder));
  const std::string stem = fmt::format("{}/{}", folder, probe::to_string(kind));
  std::string names;
  for (const std::string& package : packages)
    names += (names.empty() ? "" : ", ") + format::toml_string(package);
  const std::string text = fmt::format(
      "# Written for 'appimage-orch probe', anew each time.\nschema = 1\nname = {}\nextends = {}\n"
      "[[stack.\"+deps\"]]\nname = \"probe-tools\"\nsource = \"auto\"\npackages = [{}]\nclass = "
      "\"base-refresh\"\n",
      format::toml_string(profile.name), format::toml_string(profile.path), names);
  ORCH_CHECK(sys::write_if_changed(stem + ".toml", text));
  // The copy goes on from where the user's lock is, and is made again when that has changed.
  const std::string lock =
      sys::read_file(package::lock_path(profile, user_profiles(session))).value_or(std::string());
  ORCH_TRY(const bool changed, sys::write_if_changed(stem + ".users-lock.toml", lock));
  if (changed && !lock.empty())
    ORCH_CHECK(sys::write_atomic(stem + ".lock.toml", lock));
  else if (changed)
    ORCH_CHECK(sys::remove_tree(stem + ".lock.toml"));
  return stem + ".toml";
}

}  // namespace orch::cli
