// The finished images of a profile's layers, for its lock file.
#pragma once

#include "cli/project.hpp"
#include "package/lock_file.hpp"

#include <string>
#include <vector>

namespace orch::cli {

// The steps that make the last image of each layer of the profile that is made of packages or of the stack; layers
// that are brought by address and used as they are have their digest in the profile, and are left out.
struct ImageStep {
  std::string layer;
  model::StepIndex step;
  std::size_t output = 0;
};
std::vector<ImageStep> image_steps(const graph::Graph& graph, const model::Profile& profile);

// Their images. Needs a built project; layers that turned out not to be needed (images of no bytes) are left
// out, and so are layers of a stack with something in it that has no identity before it is built (a directory, the
// result of a user's step).
Result<std::vector<package::LockedImage>> finished_images(Project& project, const model::Profile& profile,
                                                          const std::vector<ImageStep>& steps,
                                                          const plan::Plan& plan);

// Leaves a copy of each, as SHA256.erofs, in the folder, which is made if it is not there.
Result<> export_images(const Project& project, const std::vector<ImageStep>& steps, const plan::Plan& plan,
                       const std::string& folder);

// Says of each layer whose finished image the lock knows (apply_lock()) that it is taken: `made` becomes "elsewhere",
// and `image_urls` says where it may be. That is so where the image was built of the same, is in the download cache, in
// a folder of the profile's stack.image_sources, or where these name an address; and not if `rebuild`.
Result<> take_finished_images(model::Profile& profile, hash::StatCache& stat_cache,
                              const std::string& cache_dir, bool rebuild);

// Of layers that were built here although the lock knows their images: those whose image became another one, as
// messages.
Result<std::vector<std::string>> different_images(const Project& project, const model::Profile& profile,
                                                  const plan::Plan& plan);

}  // namespace orch::cli
