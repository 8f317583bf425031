// Extended attributes of EROFS inodes, as far as they are of use here: whether a directory is opaque to
// overlayfs.
#pragma once

#include "base/result.hpp"
#include "image/erofs_data.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace orch::image {

// A beginning of names that many attributes have: "trusted." and what follows.
struct ErofsPrefix {
  std::uint8_t base = 0;  // as in entries
  std::string infix;
};

// The long prefixes of the image, which entries refer to by number.
Result<std::vector<ErofsPrefix>> read_erofs_prefixes(const ErofsVolume& volume);

// Whether trusted.overlay.opaque is "y".
Result<bool> is_erofs_opaque(const ErofsVolume& volume, const std::vector<ErofsPrefix>& prefixes,
                             const ErofsInode& inode);

}  // namespace orch::image
