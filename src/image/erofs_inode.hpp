// EROFS inodes: 32 bytes ("compact") or 64 ("extended"), little-endian. Source: Linux fs/erofs/erofs_fs.h.
#pragma once

#include "base/result.hpp"
#include "image/erofs_super.hpp"
#include "image/file_tree.hpp"

#include <cstdint>
#include <string_view>

namespace orch::image {

enum class ErofsLayout : std::uint8_t {
  plain = 0,               // in consecutive blocks
  compressed_full = 1,     // with an index of 8 bytes for each cluster, or with encoded extents
  inline_tail = 2,         // as plain, the last block's bytes behind the inode
  compressed_compact = 3,  // with an index of 2 or 4 bytes for each cluster
  chunks = 4,              // by a table of chunks
};

struct ErofsInode {
  std::uint64_t nid = 0;
  NodeInfo info;           // without `opaque`; size as NodeInfo has it
  std::uint64_t size = 0;  // of the data, directories too
  ErofsLayout layout = ErofsLayout::plain;
  // Bytes in the image, or in the metabox if k_erofs_in_metabox is set in nid.
  std::uint64_t xattrs = 0;
  std::uint64_t xattrs_size = 0;
  std::uint64_t end = 0;  // of the inode with its xattrs: where what belongs to it follows
  // Layouts plain and inline_tail.
  std::uint64_t start_block = 0;
  bool hole = false;               // plain: no block, all zeros
  std::uint32_t chunk_format = 0;  // layout chunks
  bool in_metabox() const { return (nid & k_erofs_in_metabox) != 0; }
};

// The inode `nid`; `meta` is where it lives (the image, or the metabox's contents). Errors of kind corrupt or
// unsupported name the nid.
Result<ErofsInode> read_erofs_inode(const ErofsSuper& super, const RandomAccess& meta, std::uint64_t nid);

// An Error of kind corrupt: "inode NID: WHAT".
tl::unexpected<base::Error> bad_erofs_inode(std::uint64_t nid, std::string_view what);

}  // namespace orch::image
