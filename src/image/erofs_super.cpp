#include "image/erofs_super.hpp"

#include "base/text.hpp"
#include "image/bytes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <utility>

namespace orch::image {

using base::ErrorKind;
using base::fail;

namespace {

constexpr std::uint64_t k_super_offset = 1024;
constexpr std::size_t k_super_size = 128;
constexpr std::uint32_t k_magic = 0xE0F5E1E2;
constexpr std::uint32_t k_known_incompat = 0x1FF;
constexpr std::uint64_t k_small_block_room = 4096;  // blocks of 512 and 1024 bytes: no block ends behind it
constexpr std::string_view k_again = "copy or make the image again";

using Names = std::array<std::pair<std::uint32_t, std::string_view>, 9>;
constexpr Names k_incompat = {{{0x1, "zero_padding"},
                               {0x2, "compression_configs"},
                               {0x4, "chunked_file"},
                               {0x8, "device_table"},
                               {0x10, "ztailpacking"},
                               {0x20, "fragments"},
                               {0x40, "xattr_prefixes"},
                               {0x80, "48bit"},
                               {0x100, "metabox"}}};
constexpr Names k_compat = {{{0x1, "superblock_checksum"},
                             {0x2, "mtime"},
                             {0x4, "xattr_filter"},
                             {0x8, "shared_xattrs_in_metabox"},
                             {0x10, "plain_xattr_prefixes"},
                             {0x20, "ishare_xattrs"},
                             {0, ""},
                             {0, ""},
                             {0, ""}}};

void append_names(std::vector<std::string>& out, std::uint32_t bits, const Names& names,
                  std::string_view kind) {
  for (const auto& [bit, name] : names) {
    if (bit == 0 || (bits & bit) == 0) continue;
    out.emplace_back(name);
    bits &= ~bit;
  }
  if (bits != 0) out.push_back(fmt::format("{} {:#x}", kind, bits));
}

std::string uuid_text(const std::uint8_t* bytes) {
  const std::string digits = base::hex({bytes, 16});
  return digits.substr(0, 8) + "-" + digits.substr(8, 4) + "-" + digits.substr(12, 4) + "-" +
         digits.substr(16, 4) + "-" + digits.substr(20);
}

// CRC-32C (reflected 0x82F63B78) without the final inversion.
std::uint32_t crc32c(std::uint32_t sum, std::span<const std::uint8_t> bytes) {
  for (const std::uint8_t byte : bytes) {
    sum ^= byte;
    for (int bit = 0; bit < 8; ++bit) sum = (sum >> 1) ^ ((sum & 1) != 0 ? 0x82F63B78U : 0U);
  }
  return sum;
}

// The sum runs from the superblock to the end of its block, with its own field as zeros; where blocks have no
// more than 1024 bytes, over one block.
Result<> check_sum(const RandomAccess& image, const ErofsSuper& super) {
  if (!super.has_compat(k_erofs_checksum)) return {};
  const std::size_t size =
      super.block_size > k_super_offset ? super.block_size - k_super_offset : super.block_size;
  std::vector<std::uint8_t> bytes(size);
  ORCH_CHECK(read_full(image, k_super_offset, bytes));
  std::fill_n(bytes.begin() + 4, 4, std::uint8_t{0});
  const std::uint32_t sum = crc32c(~0U, bytes);
  if (sum == super.checksum) return {};
  return fail(ErrorKind::corrupt,
              fmt::format("the EROFS superblock is damaged: its checksum is {:08x}, expected {:08x}", sum,
                          super.checksum),
              std::string(k_again));
}

}  // namespace

std::uint64_t ErofsSuper::bytes() const {
  constexpr std::uint64_t k_all = ~std::uint64_t{0};
  return blocks > (k_all >> block_bits) ? k_all : blocks << block_bits;
}

Result<std::optional<ErofsSuper>> read_erofs_super(const RandomAccess& image) {
  std::array<std::uint8_t, k_super_size + 16> raw{};
  ORCH_TRY(const std::size_t got, image.read_at(k_super_offset, raw));
  if (got < k_super_size || load_u32(raw.data()) != k_magic) return std::optional<ErofsSuper>();
  const unsigned bits = raw[12];
  if (bits < 9 || bits > 16) return std::optional<ErofsSuper>();
  ErofsSuper super;
  super.block_bits = bits;
  super.block_size = 1U << bits;
  super.feature_compat = load_u32(raw.data() + 8);
  super.feature_incompat = load_u32(raw.data() + 80);
  super.checksum = load_u32(raw.data() + 4);
  super.super_size = static_cast<std::uint32_t>(k_super_size + std::size_t{16} * raw[13]);
  super.root_nid = load_u16(raw.data() + 14);
  super.inodes = load_u64(raw.data() + 16);
  super.build_time = static_cast<std::int64_t>(load_u64(raw.data() + 24));
  super.fixed_nsec = load_u32(raw.data() + 32);
  super.blocks = load_u32(raw.data() + 36);
  if (const std::uint64_t wide = load_u64(raw.data() + 112); super.has(k_erofs_48bit) && wide != 0) {
    super.blocks |= super.root_nid << 32;
    super.root_nid = wide;
  }
  super.meta_start = std::int64_t{static_cast<std::int32_t>(load_u32(raw.data() + 40))} << bits;
  super.xattr_start = std::uint64_t{load_u32(raw.data() + 44)} << bits;
  if (super.has(k_erofs_compression_configs))
    super.compressors = load_u16(raw.data() + 84);
  else if (super.has(k_erofs_zero_padding))
    super.compressors = 1;
  if (super.has(k_erofs_device_table)) super.extra_devices = load_u16(raw.data() + 86);
  super.directory_bits = raw[90];
  if (super.has(k_erofs_xattr_prefixes)) super.prefix_count = raw[91];
  super.prefix_start = std::uint64_t{load_u32(raw.data() + 92)} * 4;
  if (super.has(k_erofs_fragments)) super.packed_nid = load_u64(raw.data() + 96);
  if (super.has(k_erofs_metabox) && super.super_size > k_super_size)
    super.metabox_nid = load_u64(raw.data() + 128);
  super.uuid = uuid_text(raw.data() + 48);
  super.label.assign(reinterpret_cast<const char*>(raw.data() + 64), 16);
  super.label.resize(std::min(super.label.find('\0'), super.label.size()));
  return std::optional<ErofsSuper>(std::move(super));
}

Result<> check_erofs_super(const RandomAccess& image, const ErofsSuper& super) {
  if ((super.feature_incompat & ~k_known_incompat) != 0)
    return fail(ErrorKind::unsupported,
                fmt::format("the EROFS image uses features that are not known here: {}",
                            base::join(feature_names(super), ", ")),
                "make it again with an older mkfs.erofs, or with fewer -E options");
  if (super.extra_devices != 0)
    return fail(ErrorKind::unsupported,
                fmt::format("the EROFS image has its data on {} further device{}, which cannot be read here",
                            super.extra_devices, super.extra_devices == 1 ? "" : "s"),
                "make it again as one file: without --blobdev, and with --tar=f instead of --tar=i");
  if (super.directory_bits != 0)
    return fail(ErrorKind::unsupported,
                "the EROFS image has directory blocks of another size than its blocks");
  const std::uint64_t room =
      super.block_size > k_super_offset ? super.block_size - k_super_offset : k_small_block_room;
  if (super.super_size > room || super.packed_nid >= k_erofs_in_metabox ||
      super.metabox_nid >= k_erofs_in_metabox || (super.has(k_erofs_metabox) && super.metabox_nid == 0))
    return fail(ErrorKind::corrupt, "the EROFS superblock contradicts itself", std::string(k_again));
  if (super.bytes() > image.size())
    return fail(ErrorKind::corrupt,
                fmt::format("the EROFS image is cut short: it has {} bytes, its superblock says {}",
                            image.size(), super.bytes()),
                std::string(k_again));
  return check_sum(image, super);
}

Result<ErofsAlgorithms> read_erofs_algorithms(const RandomAccess& image, const ErofsSuper& super) {
  ErofsAlgorithms found;
  if (!super.has(k_erofs_compression_configs)) return found;
  constexpr std::uint32_t k_largest_dictionary = 8U << 20;
  std::uint64_t at = k_super_offset + super.super_size;
  for (unsigned id = 0; id < 16; ++id) {
    if ((super.compressors >> id & 1) == 0) continue;
    at = (at + 3) & ~std::uint64_t{3};
    std::array<std::uint8_t, 8> raw{};
    ORCH_CHECK(read_full(image, at, std::span(raw).first(2)));
    const std::uint16_t length = load_u16(raw.data());
    ORCH_TRY(const std::size_t got,
             image.read_at(at + 2, std::span(raw).first(std::min<std::size_t>(length, 6))));
    const bool lzma_bad =
        id == 1 && (got < 6 || load_u32(raw.data()) > k_largest_dictionary || load_u16(raw.data() + 4) != 0);
    const bool deflate_bad = id == 2 && (got < 1 || raw[0] > 15);
    const bool zstd_bad = id == 3 && (got < 2 || raw[0] != 0 || raw[1] > 10);
    if (lzma_bad || deflate_bad || zstd_bad)
      return fail(ErrorKind::corrupt,
                  fmt::format("the record of compressor {} in the EROFS superblock is damaged", id),
                  std::string(k_again));
    if (id == 1) found.lzma_dictionary = std::max(4096U, load_u32(raw.data()));
    at += 2 + std::uint64_t{length};
  }
  return found;
}

std::vector<std::string> feature_names(const ErofsSuper& super) {
  std::vector<std::string> names;
  append_names(names, super.feature_compat, k_compat, "compat");
  append_names(names, super.feature_incompat, k_incompat, "incompat");
  return names;
}

std::vector<std::string> compressor_names(const ErofsSuper& super) {
  constexpr std::array<std::string_view, 4> k_names = {"lz4", "lzma", "deflate", "zstd"};
  std::vector<std::string> names;
  for (std::size_t i = 0; i < k_names.size(); ++i)
    if ((super.compressors >> i & 1) != 0) names.emplace_back(k_names[i]);
  return names;
}

}  // namespace orch::image
