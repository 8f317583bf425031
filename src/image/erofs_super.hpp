// The EROFS superblock: 128 bytes at byte 1024 of an image, little-endian. Source: Linux fs/erofs/erofs_fs.h.
#pragma once

#include "base/result.hpp"
#include "image/random_access.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace orch::image {

struct ErofsSuper {
  std::uint32_t block_size = 0;
  std::uint64_t blocks = 0;
  std::uint64_t inodes = 0;
  std::int64_t build_time = 0;  // seconds since the epoch
  std::uint32_t feature_compat = 0;
  std::uint32_t feature_incompat = 0;
  std::uint16_t compressors = 0;  // bit mask: 1 lz4, 2 lzma, 4 deflate, 8 zstd; 0: as by `lz4_legacy`
  std::string uuid;               // 8-4-4-4-12 hex digits
  std::string label;
};

// nullopt: no EROFS magic there, or a superblock that contradicts itself.
Result<std::optional<ErofsSuper>> read_erofs_super(const RandomAccess& image);

// Names of the feature bits that are set, in bit order; "compat 0x…" / "incompat 0x…" for those without a
// name here.
std::vector<std::string> feature_names(const ErofsSuper& super);
// Names of the compressors that the superblock announces; empty: not compressed.
std::vector<std::string> compressor_names(const ErofsSuper& super);

}  // namespace orch::image
