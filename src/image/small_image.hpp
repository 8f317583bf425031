// A layer of a few files and links that were made in memory: staged with the directories of the view below
// it, and written as an EROFS image. Nothing in it is an image of zero bytes: the layer is not needed.
#pragma once

#include "base/result.hpp"
#include "image/file_tree.hpp"
#include "sys/process.hpp"

#include <cstdint>
#include <map>
#include <string>

namespace orch::image {

struct SmallEntry {
  bool is_link = false;
  std::string text;  // of a file; target of a link
  std::uint32_t mode = 0644;
};

// By path relative to the root; directories are implied.
using SmallTree = std::map<std::string, SmallEntry>;

struct SmallImageOrder {
  std::string mkfs;        // mkfs.erofs; needed only if there is something to write
  std::string compressor;  // as ErofsOptions has them
  std::uint64_t cluster = 0;
  std::string staging;  // a directory to create
  std::string image;    // to create
  unsigned jobs = 1;
};

// Directories that the view has too get its mode, so that nothing changes but what is in `tree`; owners are
// root's. The same tree gives the same bytes.
Result<> write_small_image(const SmallTree& tree, const FileTree& view, const SmallImageOrder& order,
                           sys::ProcessRunner& processes);

}  // namespace orch::image
