// Which distribution a root image is.
#pragma once

#include "base/result.hpp"
#include "image/file_tree.hpp"

#include <string>

namespace orch::image {

// The text of its os-release file (os-release(5): etc, then usr/lib), links followed in the tree; empty where it has none that can be
// read.
base::Result<std::string> os_release_of(const FileTree& tree);

}  // namespace orch::image
