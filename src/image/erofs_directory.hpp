// Directories of EROFS: blocks of 12-byte entries, followed by their names, sorted over the whole directory.
#pragma once

#include "base/result.hpp"
#include "image/erofs_data.hpp"
#include "image/file_tree.hpp"

#include <optional>
#include <string_view>
#include <vector>

namespace orch::image {

// Both are as FileTree has them, for an inode that is a directory, and check that the type in each entry that
// they return is that of its inode.
Result<std::vector<DirEntry>> list_erofs_directory(const ErofsVolume& volume, const ErofsInode& directory);
Result<std::optional<DirEntry>> find_erofs_entry(const ErofsVolume& volume, const ErofsInode& directory,
                                                 std::string_view name);

}  // namespace orch::image
