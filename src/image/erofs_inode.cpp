#include "image/erofs_inode.hpp"

#include "image/bytes.hpp"

#include <fmt/format.h>

#include <array>
#include <limits>
#include <optional>
#include <span>

namespace orch::image {

using base::ErrorKind;
using base::fail;

namespace {

constexpr std::size_t k_compact_size = 32;
constexpr std::size_t k_extended_size = 64;
constexpr std::uint16_t k_extended = 0x1;
// Compact, not a directory: one name, and the field for their number has high address bits.
constexpr std::uint16_t k_one_link = 0x10;
constexpr std::uint16_t k_known_format = 0x1F;
constexpr std::uint64_t k_largest = std::numeric_limits<std::int64_t>::max();

using Raw = std::array<std::uint8_t, k_extended_size>;

// Where the inode begins; nullopt if that is no place.
std::optional<std::uint64_t> address_of(const ErofsSuper& super, std::uint64_t nid) {
  constexpr std::uint64_t k_most = k_largest / k_compact_size;
  const std::uint64_t number = nid & ~k_erofs_in_metabox;
  if (number > k_most) return std::nullopt;
  const auto relative = static_cast<std::int64_t>(number * k_compact_size);
  if ((nid & k_erofs_in_metabox) != 0) return static_cast<std::uint64_t>(relative);
  if (super.meta_start > std::numeric_limits<std::int64_t>::max() - relative) return std::nullopt;
  const std::int64_t address = super.meta_start + relative;
  if (address < 0) return std::nullopt;
  return static_cast<std::uint64_t>(address);
}

void take_numbers(const ErofsSuper& super, const Raw& raw, std::uint16_t format, ErofsInode& inode) {
  NodeInfo& info = inode.info;
  if ((format & k_extended) != 0) {
    inode.size = load_u64(raw.data() + 8);
    info.uid = load_u32(raw.data() + 24);
    info.gid = load_u32(raw.data() + 28);
    info.mtime = static_cast<std::int64_t>(load_u64(raw.data() + 32));
    info.mtime_nsec = load_u32(raw.data() + 40);
    info.links = load_u32(raw.data() + 44);
    return;
  }
  inode.size = load_u32(raw.data() + 8);
  info.uid = load_u16(raw.data() + 24);
  info.gid = load_u16(raw.data() + 26);
  // Before 48BIT the field is zero.
  info.mtime =
      static_cast<std::int64_t>(static_cast<std::uint64_t>(super.build_time) + load_u32(raw.data() + 12));
  info.mtime_nsec = super.fixed_nsec;
  const bool one = (format & k_one_link) != 0 && info.type != NodeType::directory;
  info.links = one ? 1 : load_u16(raw.data() + 6);
}

// What the number at byte 16 means depends on the type and the layout.
void take_place(const Raw& raw, std::uint16_t format, ErofsInode& inode) {
  const std::uint32_t word = load_u32(raw.data() + 16);
  NodeInfo& info = inode.info;
  if (info.type == NodeType::char_device || info.type == NodeType::block_device) {
    info.device_major = (word >> 8) & 0xFFF;
    info.device_minor = (word & 0xFF) | ((word >> 12) & 0xFFF00);
  }
  inode.chunk_format = word;
  const bool wide =
      (format & k_extended) != 0 || ((format & k_one_link) != 0 && info.type != NodeType::directory);
  const std::uint64_t high = wide ? load_u16(raw.data() + 6) : 0;
  const std::uint64_t none = wide ? 0xFFFF'FFFF'FFFF : 0xFFFF'FFFF;
  inode.start_block = word | (high << 32);
  inode.hole = inode.layout == ErofsLayout::plain && inode.start_block == none;
}

}  // namespace

tl::unexpected<base::Error> bad_erofs_inode(std::uint64_t nid, std::string_view what) {
  const bool in_metabox = (nid & k_erofs_in_metabox) != 0;
  return fail(ErrorKind::corrupt, fmt::format("inode {}{}: {}", nid & ~k_erofs_in_metabox,
                                              in_metabox ? " of the metabox" : "", what));
}

Result<ErofsInode> read_erofs_inode(const ErofsSuper& super, const RandomAccess& meta, std::uint64_t nid) {
  const std::optional<std::uint64_t> address = address_of(super, nid);
  if (!address || *address > meta.size() || meta.size() - *address < k_compact_size)
    return bad_erofs_inode(nid, "it lies outside of the image");
  Raw raw{};
  ORCH_CHECK(read_full(meta, *address, std::span(raw).first(k_compact_size)));
  const std::uint16_t format = load_u16(raw.data());
  const bool extended = (format & k_extended) != 0;
  if (extended)
    ORCH_CHECK(read_full(meta, *address + k_compact_size, std::span(raw).subspan(k_compact_size)));
  const unsigned layout = (format >> 1) & 7;
  if ((format & ~k_known_format) != 0 || layout > 4)
    return bad_erofs_inode(nid, fmt::format("its format is {:#06x}, which is not known", format));
  ErofsInode inode;
  inode.nid = nid;
  inode.layout = static_cast<ErofsLayout>(layout);
  const std::uint16_t mode = load_u16(raw.data() + 4);
  const std::optional<NodeType> type = type_of_mode(mode);
  if (!type) return bad_erofs_inode(nid, fmt::format("its mode {:#o} is of no type", mode));
  inode.info.type = *type;
  inode.info.mode = mode & 07777U;
  take_numbers(super, raw, format, inode);
  take_place(raw, format, inode);
  if (inode.size > k_largest) return bad_erofs_inode(nid, fmt::format("its size is {} bytes", inode.size));
  if (*type == NodeType::file || *type == NodeType::symlink) inode.info.size = inode.size;
  const std::uint16_t count = load_u16(raw.data() + 2);
  inode.xattrs = *address + (extended ? k_extended_size : k_compact_size);
  inode.xattrs_size = count == 0 ? 0 : 12 + std::uint64_t{4} * (count - 1U);
  inode.end = inode.xattrs + inode.xattrs_size;
  if (inode.end > meta.size()) return bad_erofs_inode(nid, "its attributes go beyond the image's end");
  return inode;
}

}  // namespace orch::image
