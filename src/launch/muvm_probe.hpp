// What the installed muvm can do. It has no --version and takes unknown options for the guest's command line,
// so its
// --help is asked before anything is passed to it.
#pragma once

#include "launch/launcher.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace orch::launch {

struct MuvmFeatures {
  std::string help;             // the text; option names are looked up in it
  std::string at_least;         // "0.5.0": the newest release whose mark was found
  bool emulator = false;        // --emu, 0.3.0
  bool ordered_images = false;  // images are stacked in the order of -f, 0.4.0
  bool gpu_mode = false;        // --gpu-mode, 0.5.0
  bool status = false;          // its exit status is the guest's, 0.5.0
  bool interactive = false;     // --interactive and --tty, 0.2.0

  // The guest's XDG_RUNTIME_DIR is /run/user/UID, 0.5.0; before, a folder with a random name.
  bool guest_runtime_dir() const { return status; }
  // Whether the help names the long option ("--passt-args").
  bool has(std::string_view option) const;
};

// How the reason of a mode begins that was chosen because there is no other: it is not the one that the host would have.
inline constexpr std::string_view k_drm_alone = "this muvm has drm alone";

// From the text of `muvm --help`.
MuvmFeatures muvm_features(std::string help);
// What the newest known muvm can do: for a plan on a machine without one.
MuvmFeatures newest_muvm();

// The muvm to use: `wanted` (a path or name; empty or "auto" is "muvm" on PATH); nullopt if there is none.
std::optional<std::string> find_muvm(const std::string& wanted, const sys::Environment& environment);

// What `PATH --help` prints, run to its end, or remembered for an ELF file with these bytes (CACHE/muvm/DIGEST.help). muvm
// refuses root before it looks at its options.
Result<MuvmFeatures> probe_muvm(const std::string& path, const Host& host);

}  // namespace orch::launch
