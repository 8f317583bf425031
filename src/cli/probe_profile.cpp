#include "cli/probe_profile.hpp"

#include "base/text.hpp"
#include "cli/paths.hpp"
#include "format/toml.hpp"
#include "hash/digest.hpp"
#include "package/lock_file.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

namespace orch::cli {

using package::SourceKind;
using probe::ProbeKind;

std::vector<std::string> tool_packages(ProbeKind kind, SourceKind source) {
  const bool rpm = source == SourceKind::dnf;
  switch (kind) {
    case ProbeKind::display:
      return {rpm ? "xdpyinfo" : "x11-utils"};
    case ProbeKind::gpu:
      return rpm ? std::vector<std::string>{"glx-utils", "egl-utils", "vulkan-tools"}
                 : std::vector<std::string>{"mesa-utils", "vulkan-tools"};
    case ProbeKind::devices:
      break;
  }
  return {};
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
