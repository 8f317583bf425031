// What a profile's step gets to work on once everything is built.
#pragma once

#include "base/result.hpp"
#include "model/artifact.hpp"
#include "model/launch.hpp"
#include "store/store.hpp"

#include <string>
#include <vector>

namespace orch::cli {

using base::Result;

// Where one input of a profile's launch lies.
struct LaunchInput {
  std::string name;  // "tree", "images[0]", …
  std::string path;
  std::string sha256;
  // The JSON document that the step which made an image left with it (the first, if it left several): its
  // manifest, conversion, …; of other inputs no path.
  model::ImageManifest manifest{};
};

// The input `name` that is the output `index` of a step that left `outputs`.
Result<LaunchInput> input_of(std::string name, const std::vector<model::OutputRecord>& outputs,
                             std::size_t index, const store::Store& store);

}  // namespace orch::cli
