// The cluster indexes of compressed EROFS inodes. Each entry says of one logical cluster that a new extent
// begins in it (a head), or that it lies inside of one.
#pragma once

#include "base/result.hpp"
#include "image/erofs_map.hpp"

#include <cstdint>
#include <vector>

namespace orch::image {

// The 8 bytes before an index.
struct ErofsMapHeader {
  std::uint64_t at = 0;  // of the header itself
  std::uint32_t word = 0;
  std::uint16_t advise = 0;
  std::uint8_t algorithms = 0;  // low half: heads of kind 1, high half: kind 2
  std::uint8_t cluster = 0;     // low half: log2 of a cluster's blocks
};

// Bits of `advise`.
inline constexpr std::uint16_t k_advise_2b = 0x01;       // compact index: 2-byte packs are used
inline constexpr std::uint16_t k_advise_extents = 0x01;  // full layout: encoded extents instead of an index
inline constexpr std::uint16_t k_advise_big1 = 0x02;
inline constexpr std::uint16_t k_advise_big2 = 0x04;
inline constexpr std::uint16_t k_advise_inline = 0x08;
inline constexpr std::uint16_t k_advise_interlaced = 0x10;
inline constexpr std::uint16_t k_advise_fragment = 0x20;

inline constexpr std::size_t k_erofs_most_extents = std::size_t{1} << 24;  // of one file

struct ErofsIndex {
  std::vector<ErofsExtent> extents;  // all stored or compressed, none behind the end of the file
  std::uint64_t end = 0;             // behind the last entry
};

// The full or compact index that follows `header`, as the inode's layout says.
Result<ErofsIndex> read_erofs_index(const ErofsSuper& super, const RandomAccess& meta,
                                    const ErofsInode& inode, const ErofsMapHeader& header);

}  // namespace orch::image
