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

// What stands for "auto" on this host.
struct Host {
  std::string launcher;             // decided: "muvm" or "native"
  std::string base;                 // absolute; empty: none was found
  std::vector<std::string> gpu;     // absolute, bottom first
  std::vector<std::string> looked;  // where no base was found, or what is none
};

// Puts real layers in the place of those of kind "auto": for muvm the images of the host, for native none. A base that is not found is an error that says what to do, unless the profile
// names no application. Also refuses what the launcher cannot mount, and marks layers for convert-image
// (`convert`, `only_lz4`): those that are fetched, and files that the launcher's kernel would not mount.
Result<> resolve_auto_layers(model::Profile& profile, const Host& host);

}  // namespace orch::load
