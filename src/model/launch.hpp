// What a launcher is asked to do: plain values, made by the cli from profile and artifacts.
#pragma once

#include "base/value.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace orch::model {

// The JSON document that says how an image was made.
struct ImageManifest {
  std::string path;    // absolute; empty: no step left one with the image
  std::string sha256;  // hex
};

struct LaunchImage {
  std::string path;    // absolute
  std::string role;    // "base", "gpu", "compat", "deps", "image", "finish", "step"
  std::string digest;  // SHA-256, hex
  ImageManifest manifest{};
};

struct LaunchSpec {
  std::string app;                  // name for the evidence directory
  std::string launcher;             // "native" or "muvm", decided
  std::string gpu_mode;             // "drm" | "venus" | "software" | "" (the launcher's default)
  std::string gpu_mode_reason;      // why it was chosen; empty: it was asked for
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
  std::string guest_pre_failure =
      "warn";  // or "stop": a command of guest_pre that fails keeps the application from starting
  std::string script_shell = "host";   // muvm, AppRun a script: "host" | "fexbash"
  std::string vm;                      // "auto" | "private" | "shared"
  std::int64_t vm_wait_ms = 0;         // for a VM of another stack to end
  std::int64_t exit_wait_ms = 10'000;  // for muvm to end after the application
  // Where the guest writes how the application ended (launch/guest_record.hpp); absolute, seen by the guest too; empty:
  // nowhere.
  std::string record;
  bool plain_input = false;   // no terminal gives it: the guest's terminal does not repeat what is typed
  bool plain_output = false;  // no terminal shows it: the guest's terminal adds no carriage returns
};

// All fields by their names; environment as an object (a later value replaces an earlier one).
base::Value to_value(const LaunchSpec& spec);
// What is started: `entry`, or AppRun in `appdir`.
std::string entry_of(const LaunchSpec& spec);

}  // namespace orch::model
