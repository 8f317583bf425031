// The SquashFS 4.0 superblock: 96 bytes at the start of a payload, everything little-endian, offsets relative
// to it. Source: Linux fs/squashfs/squashfs_fs.h and the squashfs-tools documentation.
#pragma once

#include "base/result.hpp"
#include "image/random_access.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace orch::image {

inline constexpr std::size_t k_squashfs_super_size = 96;
inline constexpr std::uint64_t k_squashfs_absent = ~std::uint64_t{0};

enum class SquashfsCompressor : std::uint16_t { gzip = 1, lzma = 2, lzo = 3, xz = 4, lz4 = 5, zstd = 6 };

std::string_view to_string(SquashfsCompressor compressor);

struct SquashfsSuper {
  std::uint32_t inode_count = 0;
  std::uint32_t block_size = 0;
  std::uint32_t fragment_count = 0;
  SquashfsCompressor compressor = SquashfsCompressor::gzip;
  std::uint16_t flags = 0;
  std::uint16_t id_count = 0;    // owners and groups, in one table
  std::uint64_t root_inode = 0;  // block << 16 | offset
  std::uint64_t bytes_used = 0;
  std::uint64_t inode_table = 0;
  std::uint64_t directory_table = 0;
  std::uint64_t fragment_table = k_squashfs_absent;
  std::uint64_t id_table = k_squashfs_absent;
};

// Reads and checks the superblock at `offset`: version, block size, compressor, every table inside
// bytes_used. `complete`: bytes_used lies within the data, too. The Error (corrupt, or unsupported for the
// versions before 4.0) says which field is wrong.
enum class Extent { complete, any };
Result<SquashfsSuper> read_squashfs_super(const RandomAccess& data, std::uint64_t offset,
                                          Extent extent = Extent::complete);

}  // namespace orch::image
