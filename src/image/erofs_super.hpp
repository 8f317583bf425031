// The EROFS superblock: 128 bytes at byte 1024 of an image, little-endian. Source: Linux fs/erofs/erofs_fs.h.
#pragma once

#include "base/result.hpp"
#include "image/random_access.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace orch::image {

// Bits of feature_incompat. Some stand for several features of one release: what an inode uses is said there.
inline constexpr std::uint32_t k_erofs_zero_padding = 0x1;
inline constexpr std::uint32_t k_erofs_compression_configs = 0x2;
inline constexpr std::uint32_t k_erofs_device_table = 0x8;
inline constexpr std::uint32_t k_erofs_fragments = 0x20;
inline constexpr std::uint32_t k_erofs_xattr_prefixes = 0x40;
inline constexpr std::uint32_t k_erofs_48bit = 0x80;
inline constexpr std::uint32_t k_erofs_metabox = 0x100;
// Bits of feature_compat.
inline constexpr std::uint32_t k_erofs_checksum = 0x1;
inline constexpr std::uint32_t k_erofs_shared_xattrs_in_metabox = 0x8;
inline constexpr std::uint32_t k_erofs_plain_xattr_prefixes = 0x10;

// Set in inode numbers that count within the metabox.
inline constexpr std::uint64_t k_erofs_in_metabox = std::uint64_t{1} << 63;

struct ErofsSuper {
  unsigned block_bits = 12;
  std::uint32_t block_size = 0;
  std::uint64_t blocks = 0;
  std::uint64_t inodes = 0;
  std::int64_t build_time = 0;  // seconds since the epoch; compact inodes count their times from here
  std::uint32_t fixed_nsec = 0;
  std::uint32_t feature_compat = 0;
  std::uint32_t feature_incompat = 0;
  std::uint16_t compressors = 0;  // bit mask: 1 lz4, 2 lzma, 4 deflate, 8 zstd
  std::string uuid;               // 8-4-4-4-12 hex digits
  std::string label;
  // Where things are.
  std::uint32_t super_size = 128;
  std::uint64_t root_nid = 0;
  std::uint64_t packed_nid = 0;    // of the inode that holds fragments; 0: none
  std::uint64_t metabox_nid = 0;   // of the inode that holds other inodes; 0: none
  std::int64_t meta_start = 0;     // byte that inode numbers count from
  std::uint64_t xattr_start = 0;   // byte that ids of shared xattrs count from
  std::uint64_t prefix_start = 0;  // byte of the first long xattr prefix
  std::uint8_t prefix_count = 0;
  std::uint16_t extra_devices = 0;
  std::uint8_t directory_bits = 0;
  std::uint32_t checksum = 0;

  bool has(std::uint32_t incompat) const { return (feature_incompat & incompat) != 0; }
  bool has_compat(std::uint32_t compat) const { return (feature_compat & compat) != 0; }
  // What the image should have in bytes; all ones where that is beyond 64 bits.
  std::uint64_t bytes() const;
};

// What the algorithm records behind the superblock say of the compressors.
struct ErofsAlgorithms {
  std::uint32_t lzma_dictionary = 8U << 20;  // bytes
};

// nullopt: no EROFS magic there, or a superblock that contradicts itself.
Result<std::optional<ErofsSuper>> read_erofs_super(const RandomAccess& image);

// What has to hold before the image is read as a tree: known features, the checksum where there is one, one
// device, a size that the file has. Errors: corrupt, unsupported.
Result<> check_erofs_super(const RandomAccess& image, const ErofsSuper& super);

Result<ErofsAlgorithms> read_erofs_algorithms(const RandomAccess& image, const ErofsSuper& super);

// Names of the feature bits that are set, in bit order; "compat 0x…" / "incompat 0x…" for those without a
// name here.
std::vector<std::string> feature_names(const ErofsSuper& super);
// Names of the compressors that the superblock announces; empty: not compressed.
std::vector<std::string> compressor_names(const ErofsSuper& super);

}  // namespace orch::image
