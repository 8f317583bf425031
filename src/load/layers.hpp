// The image stack of a profile as one list, bottom first.
#pragma once

#include "base/result.hpp"
#include "load/profile.hpp"
#include "model/profile.hpp"

#include <string>
#include <vector>

namespace orch::load {

// The `layers` of an expanded profile (model/profile.hpp says what they hold), from its `stack` and sources.
Result<Value> make_layers(const Value& profile, const Surroundings& surroundings);

// `source` and `key_file` of a layer, from the table of its source.
void set_layer_source(Value& layer, Value table);

struct Host {
  std::string launcher;  // decided: "muvm" or "native"
  // Folders that may hold muvm's default images, first wins.
  std::vector<std::string> image_roots{"/usr/share/fex-emu", "/usr/local/share/fex-emu"};
};

// Puts real layers in the place of those of kind "auto": for muvm the images that it would use by itself
// (base RootFS/default.erofs, gpu overlays/mesa-i386.erofs and overlays/mesa-x86_64.erofs), each where it
// exists; native has none. A base that is not found is an error that says what to do, unless the profile
// names no application. Also refuses what the launcher cannot mount, and marks layers for convert-image
// (`convert`, `only_lz4`): those that are fetched, and files that the launcher's kernel would not mount.
Result<> resolve_auto_layers(model::Profile& profile, const Host& host);

}  // namespace orch::load
