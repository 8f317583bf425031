#include "image/erofs_map.hpp"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

namespace {

namespace image = orch::image;
using image::ErofsEncoding;
using image::ErofsExtent;
using image::ErofsLayout;

constexpr std::uint64_t k_block = 4096;
constexpr std::uint64_t k_end = 64;  // where the inode ends and its map begins
constexpr unsigned k_big = 0x6;
constexpr unsigned k_plain = 0;
constexpr unsigned k_head = 1;
constexpr unsigned k_inside = 2;

void put(std::string& bytes, std::uint64_t value, std::size_t width) {
  for (std::size_t i = 0; i < width; ++i) bytes += static_cast<char>(value >> (8 * i));
}

std::string header(std::uint32_t word, unsigned advise, unsigned algorithms = 0, unsigned cluster = 0) {
  std::string bytes;
  put(bytes, word, 4);
  put(bytes, advise, 2);
  put(bytes, algorithms, 1);
  put(bytes, cluster, 1);
  return bytes;
}

struct Item {
  unsigned type;
  unsigned value;           // heads: offset in the cluster; inside: distance back, or 0x800 | blocks
  std::uint32_t block = 0;  // heads, full index
  unsigned flags = 0;
};

std::string full(const std::vector<Item>& items, unsigned advise = 0, std::uint32_t word = 0,
                 unsigned algorithms = 0) {
  std::string bytes = header(word, advise, algorithms) + std::string(8, '\0');
  for (const Item& item : items) {
    put(bytes, item.type | item.flags, 2);
    put(bytes, item.type == k_inside ? 0 : item.value, 2);
    put(bytes, item.type == k_inside ? item.value : item.block, 4);
  }
  return bytes;
}

// One pack of a compact index.
std::string pack(std::uint32_t base, const std::vector<Item>& items) {
  const std::size_t width = items.size() == 2 ? 16 : 14;
  std::vector<bool> bits;
  for (const Item& item : items)
    for (std::size_t i = 0; i < width; ++i) bits.push_back(((item.value | item.type << 12) >> i & 1) != 0);
  std::string bytes((bits.size() + 7) / 8, '\0');
  for (std::size_t i = 0; i < bits.size(); ++i)
    if (bits[i]) bytes[i / 8] = static_cast<char>(bytes[i / 8] | 1 << (i % 8));
  put(bytes, base, 4);
  return bytes;
}

image::Result<std::vector<ErofsExtent>> map_of(const std::string& map, std::uint64_t size, ErofsLayout layout,
                                               unsigned compressors = 0xF) {
  image::ErofsSuper super;
  super.block_size = k_block;
  super.feature_incompat = image::k_erofs_zero_padding | image::k_erofs_compression_configs;
  super.compressors = static_cast<std::uint16_t>(compressors);
  image::ErofsInode inode;
  inode.nid = 7;
  inode.size = size;
  inode.layout = layout;
  inode.end = k_end;
  return image::read_erofs_map(super, image::MemoryAccess(std::string(k_end, '\0') + map), inode);
}

std::vector<ErofsExtent> full_map(const std::string& map, std::uint64_t size) {
  auto extents = map_of(map, size, ErofsLayout::compressed_full);
  REQUIRE_MESSAGE(extents.has_value(), (extents ? "" : extents.error().what));
  return *extents;
}

std::vector<ErofsExtent> compact_map(const std::string& map, std::uint64_t size) {
  auto extents = map_of(map, size, ErofsLayout::compressed_compact);
  REQUIRE_MESSAGE(extents.has_value(), (extents ? "" : extents.error().what));
  return *extents;
}

void check_bad(const std::string& map, std::uint64_t size, ErofsLayout layout, const std::string& reason,
               unsigned compressors = 0xF) {
  const auto extents = map_of(map, size, layout, compressors);
  REQUIRE_FALSE(extents.has_value());
  CHECK(extents.error().kind == orch::base::ErrorKind::corrupt);
  CHECK(extents.error().what.starts_with("inode 7: "));
  CHECK_MESSAGE(extents.error().what.find(reason) != std::string::npos, extents.error().what);
}

ErofsExtent extent(std::uint64_t start, std::uint64_t block, std::uint32_t blocks, ErofsEncoding encoding) {
  return {start, block * k_block, static_cast<std::uint32_t>(blocks * k_block), encoding, false, false};
}

}  // namespace

TEST_SUITE("image/erofs_map") {
  TEST_CASE("a full index gives an extent for each head, as long as its count says") {
    const std::string map = full({{k_head, 0, 100},
                                  {k_inside, 0x803},  // three blocks
                                  {k_inside, 2},
                                  {k_plain, 500, 103},
                                  {k_head, 0, 104, 0x8000}},
                                 k_big, 0, 0x03);
    std::vector<ErofsExtent> expected = {extent(0, 100, 3, ErofsEncoding::zstd),
                                         extent(3 * k_block + 500, 103, 1, ErofsEncoding::stored),
                                         extent(4 * k_block, 104, 1, ErofsEncoding::zstd)};
    expected.back().partial = true;
    CHECK(full_map(map, 4 * k_block + 10) == expected);
    // A last entry that only says where the file ends makes no extent.
    CHECK(full_map(full({{k_head, 0, 9}, {k_plain, 77, 10}}), k_block + 77).size() == 1);
    CHECK(map_of("", 0, ErofsLayout::compressed_full)->empty());
  }

  TEST_CASE("the second kind of head has its own compressor") {
    CHECK(full_map(full({{3, 0, 5}}, 0, 0, 0x10), 100) ==
          std::vector<ErofsExtent>{extent(0, 5, 1, ErofsEncoding::lzma)});
  }

  TEST_CASE("compact packs of two count blocks from their base") {
    const std::string map =
        header(0, 0) + pack(10, {{k_head, 0}, {k_head, 100}}) + pack(12, {{k_plain, 4000}, {k_inside, 1}});
    CHECK(compact_map(map, 3 * k_block + 4000) ==
          std::vector<ErofsExtent>{extent(0, 11, 1, ErofsEncoding::lz4),
                                   extent(k_block + 100, 12, 1, ErofsEncoding::lz4),
                                   extent(2 * k_block + 4000, 13, 1, ErofsEncoding::stored)});
    // An odd number of clusters: the last pack is there as a whole.
    CHECK(compact_map(
              header(0, 0) + pack(10, {{k_head, 0}, {k_head, 1}}) + pack(12, {{k_head, 0}, {k_head, 4095}}),
              2 * k_block + 1)
              .size() == 3);
  }

  TEST_CASE("large extents in compact packs: the count may be in the next pack") {
    const std::string map =
        header(0, k_big) + pack(10, {{k_head, 0}, {k_head, 5}}) + pack(11, {{k_inside, 0x804}, {k_head, 9}});
    CHECK(compact_map(map, 4 * k_block) ==
          std::vector<ErofsExtent>{extent(0, 10, 1, ErofsEncoding::lz4),
                                   extent(k_block + 5, 11, 4, ErofsEncoding::lz4),
                                   extent(3 * k_block + 9, 15, 1, ErofsEncoding::lz4)});
  }

  TEST_CASE("packs of 2 bytes begin at a multiple of 32") {
    // The index begins at 64 + 8 = 72; up to 96 there are 6 clusters in packs of 4 bytes.
    std::string map = header(0, 0x01);
    std::vector<ErofsExtent> expected;
    for (unsigned i = 0; i < 3; ++i) map += pack(20 + 2 * i, {{k_head, 0}, {k_head, 0}});
    std::vector<Item> items;
    for (unsigned i = 0; i < 16; ++i) items.push_back(i % 2 == 0 ? Item{k_head, i} : Item{k_inside, 1});
    map += pack(26, items) + pack(34, {{k_head, 3}, {k_head, 0}});
    for (unsigned i = 0; i < 6; ++i) expected.push_back(extent(i * k_block, 21 + i, 1, ErofsEncoding::lz4));
    for (unsigned i = 0; i < 16; i += 2)
      expected.push_back(extent((6 + i) * k_block + i, 27 + i / 2, 1, ErofsEncoding::lz4));
    expected.push_back(extent(22 * k_block + 3, 35, 1, ErofsEncoding::lz4));
    CHECK(compact_map(map, 22 * k_block + 50) == expected);
  }

  TEST_CASE("the end of a file is in the packed inode, or behind the index, or all of it is a fragment") {
    std::string whole;
    put(whole, 1234 | std::uint64_t{1} << 63, 8);
    CHECK(full_map(whole, 5000) ==
          std::vector<ErofsExtent>{{0, 1234, 0, ErofsEncoding::fragment, false, false}});

    const auto tail = full_map(full({{k_head, 0, 3}, {k_plain, 8, 2}}, 0x20, 77), 2 * k_block);
    CHECK(tail.back() ==
          ErofsExtent{k_block + 8, 77 | std::uint64_t{2} << 32, 0, ErofsEncoding::fragment, false, false});

    const auto inlined = compact_map(
        header(300 << 16, 0x08) + pack(10, {{k_head, 0}, {k_head, 0}}) + std::string(300, 'x'), 2 * k_block);
    CHECK(inlined.back() == ErofsExtent{k_block, k_end + 16, 300, ErofsEncoding::lz4, false, true});
  }

  TEST_CASE("stored bytes are rotated where the inode says so") {
    CHECK(full_map(full({{k_plain, 0, 5}}, 0x10), 100)[0].encoding == ErofsEncoding::rotated);
  }

  TEST_CASE("encoded extents: records of 4, 8, 16 and 32 bytes") {
    std::string four = header(0, 0x01, 0, 2);  // clusters of 4 blocks
    put(four, 5001, 8);
    put(four, 700 | 1U << 28, 4);
    put(four, 0, 4);
    CHECK(full_map(four, 5 * k_block) ==
          std::vector<ErofsExtent>{{0, 5001, 700, ErofsEncoding::lz4, false, false},
                                   {4 * k_block, 5701, 0, ErofsEncoding::hole, false, false}});
    std::string eight = header(0, 0x03, 0, 0);
    put(eight, 4096, 4);
    put(eight, 8192, 4);
    put(eight, 99 | 4U << 28 | 1U << 27, 4);
    put(eight, 12345, 4);
    CHECK(full_map(eight, 2 * k_block) ==
          std::vector<ErofsExtent>{extent(0, 2, 1, ErofsEncoding::stored),
                                   {k_block, 12345, 99, ErofsEncoding::zstd, true, false}});
    std::string sixteen = header(2, 0x25);
    sixteen.resize(16, '\0');  // records begin at a multiple of their size
    for (const std::uint64_t word : {600U | 2U << 28, 1U, 2U, 0U, 55U, 3U, 0U, 1000U}) put(sixteen, word, 4);
    CHECK(full_map(sixteen, 3000) ==
          std::vector<ErofsExtent>{
              {0, 1 | std::uint64_t{2} << 32, 600, ErofsEncoding::lzma, false, false},
              {1000, 55 | std::uint64_t{3} << 32, 0, ErofsEncoding::fragment, false, false}});
    std::string wide = header(1, 0x07);
    wide.resize(32, '\0');
    for (const std::uint64_t word : {600U | 3U << 28, 9U, 0U, 0U, 0U, 0U, 0U, 0U}) put(wide, word, 4);
    CHECK(full_map(wide, 3000) ==
          std::vector<ErofsExtent>{{0, 9, 600, ErofsEncoding::deflate, false, false}});
  }

  TEST_CASE("an index that contradicts itself is refused") {
    constexpr auto k_full = ErofsLayout::compressed_full;
    constexpr auto k_compact = ErofsLayout::compressed_compact;
    check_bad(full({{k_head, 1, 3}}), 100, k_full, "begins in the wrong place");
    check_bad(full({{k_head, 0, 3}, {k_head, 4096, 3}}), 2 * k_block, k_full, "begins behind it");
    check_bad(full({{k_inside, 1}}), 100, k_full, "belongs to no extent");
    check_bad(full({{k_head, 0, 3}, {k_inside, 0}}), 2 * k_block, k_full, "points to no head");
    check_bad(full({{k_head, 0, 3}, {k_inside, 2}}), 2 * k_block, k_full, "points to no head");
    check_bad(full({{k_head, 0, 3}, {k_inside, 0x801}}), 2 * k_block, k_full, "where none belongs");
    check_bad(full({{k_head, 0, 3}, {k_inside, 0x801}, {k_inside, 0x801}}, k_big), 3 * k_block, k_full,
              "where none belongs");
    check_bad(full({{k_head, 0, 3}, {k_inside, 0x800}}, k_big), 2 * k_block, k_full, "encoded in 0");
    check_bad(full({{k_head, 0, 3}, {k_inside, 0x901}}, k_big), 2 * k_block, k_full, "has 257 blocks");
    check_bad(full({{k_plain, 0, 3}, {k_inside, 1}}), 2 * k_block, k_full, "has 8192 bytes, encoded in 4096");
    check_bad(full({{k_head, 0, 3}}, 0, 0, 5), 100, k_full, "compressor 5");
    check_bad(full({{k_head, 0, 3}}, 0, 0, 1), 100, k_full, "compressor 1", 0x1);
    check_bad(full({{k_head, 0, 3}}), 2 * k_block, k_full, "goes beyond the image's end");
    check_bad(full({{k_head, 0, 3}}), std::uint64_t{1} << 62, k_full, "goes beyond the image's end");
    check_bad("", 100, k_full, "goes beyond the image's end");
    check_bad(full({{k_head, 0, 3}}, 0x28), 100, k_full, "in two places");
    check_bad(full({{k_head, 0, 3}}, 0x08, 0xFFF0U << 16), 100, k_full, "crosses a block's end");
    check_bad(header(0, 0x02) + pack(10, {{k_head, 0}, {k_head, 0}}), 100, k_compact, "only one kind");
    check_bad(header(0, 0, 0, 1) + pack(10, {{k_head, 0}, {k_head, 0}}), 100, k_compact,
              "larger than blocks");
    check_bad(header(0, 0) + pack(10, {{k_inside, 1}, {k_head, 0}}), 100, k_compact, "belongs to no extent");

    std::string far(full({{k_head, 0, 3}}));
    for (int i = 1; i < 4000; ++i)
      put(far, k_inside | std::uint64_t{static_cast<unsigned>(std::min(i, 0x7FF))} << 32, 8);
    check_bad(far, 4000 * k_block, k_full, "has 16384000 bytes");
  }

  TEST_CASE("encoded extents that contradict themselves are refused") {
    constexpr auto k_full = ErofsLayout::compressed_full;
    check_bad(header(0xFFFFFFFF, 0x05, 0xFF, 0x0F) + std::string(40, '\0'), 100, k_full,
              "go beyond the image's end");
    std::string late = header(1, 0x05) + std::string(8, '\0');
    for (const std::uint64_t word : {600U | 1U << 28, 9U, 0U, 1U}) put(late, word, 4);
    check_bad(late, 100, k_full, "begins in the wrong place");
    std::string unknown = header(1, 0x05) + std::string(8, '\0');
    for (const std::uint64_t word : {600U | 6U << 28, 9U, 0U, 0U}) put(unknown, word, 4);
    check_bad(unknown, 100, k_full, "compressor 5");
    std::string huge = header(1, 0x05) + std::string(8, '\0');
    for (const std::uint64_t word : {0x1FFFFFU | 1U << 28, 9U, 0U, 0U}) put(huge, word, 4);
    check_bad(huge, 100, k_full, "encoded in 2097151");
    check_bad(header(0, 0x05) + std::string(64, '\0'), 100, k_full, "has no extent");
  }
}
