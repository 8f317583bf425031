#include "image/os_release.hpp"

#include "image/merged_view.hpp"
#include "image/random_access.hpp"

namespace orch::image {

base::Result<std::string> os_release_of(const FileTree& tree) {
  for (const char* path : {"etc/os-release", "usr/lib/os-release"}) {
    ORCH_TRY(const Resolution found, resolve(tree, path, Links::in_root));
    if (found.outcome != Resolution::Outcome::found || found.type != NodeType::file) continue;
    const auto file = tree.open(found.node);
    if (!file) continue;  // an index keeps it only under its usual names
    return read_exact(**file, 0, static_cast<std::size_t>((*file)->size()));
  }
  return std::string();
}

}  // namespace orch::image
