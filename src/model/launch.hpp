// What a launcher is asked to do: plain values, made by the cli from profile and artifacts.
#pragma once

#include "base/value.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace orch::model {

struct LaunchImage {
  std::string path;    // absolute
  std::string role;    // "base", "gpu", "compat", "deps", "image", "finish", "step"
  std::string digest;  // SHA-256, hex
};

struct LaunchSpec {
  std::string app;                  // name for the evidence directory
  std::string launcher;             // "native" or "muvm", decided
  std::string gpu_mode;             // "drm" | "venus" | "software" | "" (the launcher's default)
  std::vector<LaunchImage> images;  // bottom first
  std::string appdir;               // the extracted tree, absolute
  std::string entry;                // what is started, absolute; empty: AppRun in the AppDir
  std::string appimage;             // the AppImage, absolute
  std::string appimage_sha256;
  std::vector<std::string> args;
  std::vector<std::pair<std::string, std::string>>
      environment;              // profile, then --env; later wins; the launcher expands ${appdir}
  std::string directory;        // working directory
  std::int64_t timeout_ms = 0;  // 0: none
  std::string muvm;             // path, or empty to look it up
  std::vector<std::string> muvm_args;
  std::vector<std::string> guest_pre;
  std::string vm;  // "auto" | "private" | "shared"
};

// All fields by their names; environment as an object (a later value replaces an earlier one).
base::Value to_value(const LaunchSpec& spec);
// What is started: `entry`, or AppRun in `appdir`.
std::string entry_of(const LaunchSpec& spec);

}  // namespace orch::model
