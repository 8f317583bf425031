// Profiles: found by name or path, with what they extend, checked, with variables, defaults and overrides, as
// one value. Overview and reasons: docs/design/profiles.md.
#pragma once

#include "base/result.hpp"
#include "load/rules.hpp"
#include "model/profile.hpp"
#include "sys/process.hpp"

#include <optional>
#include <string>
#include <vector>

namespace orch::load {

// Where profiles, sources and rules live, and what variables may see. Directories are absolute.
struct Surroundings {
  const sys::Environment* environment = nullptr;
  std::string config_dir;  // the user's: profiles/, profiles/sources/, rules/
  std::string data_dir;    // shipped: the same folders
};

// What the command line says instead of the profile. Paths are relative to the working directory.
struct Overrides {
  std::optional<std::string> appimage;
  std::vector<std::string> images;  // on top of the stack, bottom first
  std::optional<std::string> muvm;
  std::optional<std::string> launcher;
  std::optional<std::string> gpu_mode;
  std::optional<std::string> verify;        // [verify] mode
  std::optional<std::string> library_path;  // LD_LIBRARY_PATH of this run, for `verify` to look with
};

// The file of a profile: a path (with '/' or ending in .toml), the name of a user's or a shipped profile (the
// user's first), or ./profile.toml for an empty text. Missing: an error that says where it looked, and what
// is near.
Result<std::string> find_profile(const std::string& name_or_path, const Surroundings& surroundings);

// Names of the user's and the shipped profiles, sorted.
std::vector<std::string> profile_names(const Surroundings& surroundings);

// Reads the profile at `path`. Layers "auto" keep the kind "auto" (resolve_auto_layers decides them), package
// sources "auto" stay without a source table. Files that it names must exist. The profile need not name an
// application.
Result<model::Profile> load_profile(const std::string& path, const Surroundings& surroundings,
                                    const Rules& rules, const Overrides& overrides = {});

// Fails if the profile names no application.
Result<> require_app(const model::Profile& profile);

// The shipped and the user's rules.
Result<Rules> load_all_rules(const Surroundings& surroundings);

}  // namespace orch::load
