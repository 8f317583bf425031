// The finished images of a profile's layers, for its lock file.
#pragma once

#include "cli/project.hpp"
#include "package/lock_file.hpp"

#include <string>
#include <vector>

namespace orch::cli {

// The steps that make the last image of each layer of the profile; layers that are brought by address and
// used as they are have their digest in the profile, and are left out.
struct ImageStep {
  std::string layer;
  model::StepIndex step;
  std::size_t output = 0;
};
std::vector<ImageStep> image_steps(const graph::Graph& graph, const model::Profile& profile);

// Their images. Needs a built project; layers that turned out not to be needed (images of no bytes) are left
// out.
Result<std::vector<package::LockedImage>> finished_images(const Project& project,
                                                          const std::vector<ImageStep>& steps,
                                                          const plan::Plan& plan);

}  // namespace orch::cli
