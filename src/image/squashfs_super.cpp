#include "image/squashfs_super.hpp"

#include "base/text.hpp"
#include "image/bytes.hpp"

#include <fmt/format.h>

namespace orch::image {

using base::ErrorKind;
using base::fail;

namespace {

constexpr std::uint32_t k_min_block = 4096;
constexpr std::uint32_t k_max_block = 1U << 20;
constexpr std::uint64_t k_metadata_size = 8192;

auto wrong(std::string what) {
  return fail(ErrorKind::corrupt, "the SquashFS superblock is damaged: " + what,
              "download or copy the file again and compare its size and checksum with the publisher's");
}

Result<> check_tables(const SquashfsSuper& super, std::uint64_t id_table) {
  const std::uint64_t limit = super.bytes_used;
  if (id_table >= limit || super.inode_table < k_squashfs_super_size || super.inode_table >= limit ||
      super.directory_table < super.inode_table || super.directory_table > limit)
    return wrong("a table lies outside of the file system");
  if (super.fragment_table != k_squashfs_absent && super.fragment_table >= limit)
    return wrong("the fragment table lies outside of the file system");
  constexpr std::uint64_t k_fragments_in_block = 512;  // and 8 bytes for the place of each block
  const std::uint64_t index =
      (std::uint64_t{super.fragment_count} + k_fragments_in_block - 1) / k_fragments_in_block * 8;
  if (super.fragment_table != k_squashfs_absent && index > limit - super.fragment_table)
    return wrong(fmt::format("{} fragments do not fit into the file system", super.fragment_count));
  if (super.fragment_table == k_squashfs_absent && super.fragment_count != 0)
    return wrong(fmt::format("{} fragments without a table", super.fragment_count));
  if ((super.root_inode & 0xFFFF) >= k_metadata_size || (super.root_inode >> 16) >= limit)
    return wrong("the root directory lies outside of the file system");
  return {};
}

}  // namespace

std::string_view to_string(SquashfsCompressor compressor) {
  switch (compressor) {
    case SquashfsCompressor::gzip:
      return "gzip";
    case SquashfsCompressor::lzma:
      return "lzma";
    case SquashfsCompressor::lzo:
      return "lzo";
    case SquashfsCompressor::xz:
      return "xz";
    case SquashfsCompressor::lz4:
      return "lz4";
    case SquashfsCompressor::zstd:
      return "zstd";
  }
  return "unknown";
}

Result<SquashfsSuper> read_squashfs_super(const RandomAccess& data, std::uint64_t offset, Extent extent) {
  if (offset > data.size() || data.size() - offset < k_squashfs_super_size)
    return fail(ErrorKind::corrupt,
                fmt::format("the file is cut short: it ends within the superblock at byte {}", offset),
                "download or copy the file again");
  ORCH_TRY(const std::string bytes, read_exact(data, offset, k_squashfs_super_size));
  const std::string_view magic = std::string_view(bytes).substr(0, 4);
  const auto u16 = [&](std::size_t at) { return load_u16(bytes.data() + at); };
  const auto u32 = [&](std::size_t at) { return load_u32(bytes.data() + at); };
  const auto u64 = [&](std::size_t at) { return load_u64(bytes.data() + at); };
  if (magic == "sqsh")
    return fail(ErrorKind::unsupported, "the payload is a big-endian SquashFS, from before version 4.0",
                "unpack it with a tool of its time and make the AppImage again");
  if (magic != "hsqs")
    return wrong(fmt::format("expected the magic 'hsqs', found '{}'", base::printable(magic)));
  if (u16(28) != 4 || u16(30) != 0)
    return fail(ErrorKind::unsupported,
                fmt::format("the payload is SquashFS {}.{}, expected 4.0", u16(28), u16(30)));
  SquashfsSuper super;
  super.inode_count = u32(4);
  super.block_size = u32(12);
  super.fragment_count = u32(16);
  super.flags = u16(24);
  super.root_inode = u64(32);
  super.bytes_used = u64(40);
  super.inode_table = u64(64);
  super.directory_table = u64(72);
  super.fragment_table = u64(80);
  super.id_count = u16(26);
  super.id_table = u64(48);
  if (super.block_size < k_min_block || super.block_size > k_max_block || u16(22) > 20 ||
      super.block_size != 1U << u16(22))
    return wrong(fmt::format("block size {} with logarithm {}", super.block_size, u16(22)));
  if (u16(20) < 1 || u16(20) > 6) return wrong(fmt::format("unknown compressor {}", u16(20)));
  super.compressor = static_cast<SquashfsCompressor>(u16(20));
  if (super.inode_count == 0 || u16(26) == 0) return wrong("no inodes or no owners");
  if (super.bytes_used < k_squashfs_super_size)
    return wrong(fmt::format("a size of {} bytes", super.bytes_used));
  ORCH_CHECK(check_tables(super, u64(48)));
  const std::uint64_t room = data.size() - offset;
  if (extent == Extent::complete && super.bytes_used > room)
    return fail(ErrorKind::corrupt,
                fmt::format("the file is cut short: its SquashFS payload has {} bytes, {} are there",
                            super.bytes_used, room),
                "download or copy the file again");
  return super;
}

}  // namespace orch::image
