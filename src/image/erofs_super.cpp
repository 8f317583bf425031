#include "image/erofs_super.hpp"

#include "base/text.hpp"
#include "image/bytes.hpp"

#include <fmt/format.h>

#include <array>
#include <string_view>
#include <utility>

namespace orch::image {

namespace {

constexpr std::uint64_t k_super_offset = 1024;
constexpr std::size_t k_super_size = 128;
constexpr std::uint32_t k_magic = 0xE0F5E1E2;
constexpr std::uint32_t k_zero_padding = 0x1;
constexpr std::uint32_t k_compression_configs = 0x2;
constexpr std::uint32_t k_48bit = 0x80;

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

}  // namespace

Result<std::optional<ErofsSuper>> read_erofs_super(const RandomAccess& image) {
  std::array<std::uint8_t, k_super_size> raw{};
  ORCH_TRY(const std::size_t got, image.read_at(k_super_offset, raw));
  if (got < raw.size() || load_u32(raw.data()) != k_magic) return std::optional<ErofsSuper>();
  const unsigned bits = raw[12];
  if (bits < 9 || bits > 16) return std::optional<ErofsSuper>();
  ErofsSuper super;
  super.feature_compat = load_u32(raw.data() + 8);
  super.block_size = 1U << bits;
  super.inodes = load_u64(raw.data() + 16);
  super.build_time = static_cast<std::int64_t>(load_u64(raw.data() + 24));
  super.blocks = load_u32(raw.data() + 36);
  super.feature_incompat = load_u32(raw.data() + 80);
  if ((super.feature_incompat & k_48bit) != 0 && load_u64(raw.data() + 112) != 0)
    super.blocks |= std::uint64_t{load_u16(raw.data() + 14)} << 32;
  if ((super.feature_incompat & k_compression_configs) != 0)
    super.compressors = load_u16(raw.data() + 84);
  else if ((super.feature_incompat & k_zero_padding) != 0)
    super.compressors = 1;
  super.uuid = uuid_text(raw.data() + 48);
  super.label.assign(reinterpret_cast<const char*>(raw.data() + 64), 16);
  super.label.resize(std::min(super.label.find('\0'), super.label.size()));
  return std::optional<ErofsSuper>(std::move(super));
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
