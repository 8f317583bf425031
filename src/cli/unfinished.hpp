// What the last layer of a stack lacks because nobody could make it here: an application may miss it, and `verify`
// sees libraries only.
#pragma once

#include "base/result.hpp"
#include "cli/project.hpp"

#include <string>
#include <vector>

namespace orch::cli {

// A line for each cache that finish-stack reports as not done, with what would help; none where nothing is built.
Result<std::vector<std::string>> unfinished_caches(const Project& project, const std::string& profile,
                                                   const plan::Plan& plan);

}  // namespace orch::cli
