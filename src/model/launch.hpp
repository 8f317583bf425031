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
  std::string appimage;             // the AppImage, absolute
  std::string appimage_sha256;
  std::vector<std::string> args;
  std::vector<std::pair<std::string, std::string>>
      environment;              // profile, then --env; later wins; ${appdir} expanded
  std::string directory;        // working directory
  std::int64_t timeout_ms = 0;  // 0: none
  std::string muvm;             // path, or empty to look it up
  std::vector<std::string> muvm_args;
  std::vector<std::string> guest_pre;
  std::string vm;  // "auto" | "private" | "shared"
};

base::Value to_value(const LaunchSpec& spec);

}  // namespace orch::model
