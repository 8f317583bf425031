// The index of a compressed EROFS inode, decoded into a list of extents. Pure: bytes in, extents out.
//
// Three forms: 8 bytes for each cluster ("full"), packs of 4 or 2 bytes for each ("compact"), and records of
// encoded extents. Source: Linux fs/erofs/zmap.c and erofs_fs.h.
#pragma once

#include "base/result.hpp"
#include "image/erofs_inode.hpp"
#include "image/erofs_super.hpp"

#include <cstdint>
#include <vector>

namespace orch::image {

enum class ErofsEncoding : std::uint8_t {
  lz4 = 0,  // the first four as the format numbers them
  lzma = 1,
  deflate = 2,
  zstd = 3,
  stored,
  rotated,   // stored, beginning at the place that its first byte has within a block of the file
  hole,      // zeros
  fragment,  // bytes of the packed inode
};

// Bytes of the file from `start` to the next extent's start, or to the file's end.
struct ErofsExtent {
  std::uint64_t start = 0;
  std::uint64_t address = 0;  // byte in the image; fragments: in the packed inode's contents
  std::uint32_t encoded = 0;  // bytes there
  ErofsEncoding encoding = ErofsEncoding::hole;
  bool partial = false;   // what is encoded has more bytes than the extent
  bool in_inode = false;  // `address` counts where the inode lives: the image, or the metabox
  friend bool operator==(const ErofsExtent&, const ErofsExtent&) = default;
};

inline constexpr std::uint64_t k_erofs_largest_encoded = 1U << 20;
inline constexpr std::uint64_t k_erofs_largest_decoded = 12U << 20;

// The extents of `inode`, ascending, the first at 0, without gaps; empty for an empty file. `meta` is where
// the inode lives. What they name is checked for its form and size, not for lying inside the image. Errors of
// kind corrupt name the nid.
Result<std::vector<ErofsExtent>> read_erofs_map(const ErofsSuper& super, const RandomAccess& meta,
                                                const ErofsInode& inode);

}  // namespace orch::image
