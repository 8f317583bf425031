// Any tree of files into a directory, hashed while it is written: what extraction of a payload does, for
// EROFS images and directories.
#pragma once

#include "image/extract.hpp"
#include "image/file_tree.hpp"

#include <string>

namespace orch::image {

// As extract.hpp says of what arrives and what does not. `target` must not exist; it is removed again where
// extraction fails. Memory: the listing, and a megabyte for each thread. With more than one thread, what
// tree.open() returns is read by several threads, each its own.
Result<Extraction> extract_tree(const FileTree& tree, const std::string& target,
                                const ExtractOptions& options);

}  // namespace orch::image
