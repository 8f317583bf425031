#include "image/erofs_xattr.hpp"

#include "image/bytes.hpp"

#include <array>
#include <optional>

namespace orch::image {

namespace {

constexpr std::uint8_t k_trusted = 4;
constexpr std::uint8_t k_long_prefix = 0x80;
constexpr std::size_t k_header = 12;
constexpr std::size_t k_entry = 4;
constexpr std::string_view k_opaque = "overlay.opaque";

// What an entry says; nullopt: it is another attribute. `entry` begins with it and may be longer.
std::optional<bool> opaque_in(std::string_view entry, const std::vector<ErofsPrefix>& prefixes) {
  const auto* raw = reinterpret_cast<const std::uint8_t*>(entry.data());
  const std::size_t name_size = raw[0];
  const std::size_t value_size = load_u16(raw + 2);
  if (entry.size() < k_entry + name_size + value_size) return std::nullopt;
  std::uint8_t base = raw[1];
  std::string name(entry.substr(k_entry, name_size));
  if ((base & k_long_prefix) != 0) {
    const std::size_t number = base & 0x7FU;
    if (number >= prefixes.size()) return std::nullopt;
    base = prefixes[number].base;
    name = prefixes[number].infix + name;
  }
  if (base != k_trusted || name != k_opaque) return std::nullopt;
  return entry.substr(k_entry + name_size, value_size) == "y";
}

// As many bytes of `data` as there are, at most `most`.
Result<std::string> read_up_to(const RandomAccess& data, std::uint64_t offset, std::size_t most) {
  std::string bytes(most, '\0');
  ORCH_TRY(const std::size_t got,
           data.read_at(offset, {reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()}));
  bytes.resize(got);
  return bytes;
}

Result<std::optional<bool>> shared_opaque(const ErofsVolume& volume, const std::vector<ErofsPrefix>& prefixes,
                                          const ErofsInode& inode, std::uint32_t id) {
  // What matters is short; a longer entry is another attribute.
  constexpr std::size_t k_enough = 64;
  const bool boxed =
      volume.super.has_compat(k_erofs_shared_xattrs_in_metabox) && volume.metabox_pages != nullptr;
  const RandomAccess& data = boxed ? static_cast<const RandomAccess&>(*volume.metabox_pages) : volume.pages;
  const std::uint64_t at = volume.super.xattr_start + std::uint64_t{4} * id;
  if (!erofs_has(data, at, k_entry))
    return bad_erofs_inode(inode.nid, "a shared attribute lies outside of the image");
  ORCH_TRY(const std::string entry, read_up_to(data, at, k_enough));
  return opaque_in(entry, prefixes);
}

}  // namespace

Result<std::vector<ErofsPrefix>> read_erofs_prefixes(const ErofsVolume& volume) {
  std::vector<ErofsPrefix> prefixes;
  const RandomAccess* data = &volume.pages;
  if (!volume.super.has_compat(k_erofs_plain_xattr_prefixes)) {
    if (volume.metabox_pages)
      data = volume.metabox_pages.get();
    else if (volume.packed)
      data = volume.packed.get();
  }
  std::uint64_t at = volume.super.prefix_start;
  for (unsigned i = 0; i < volume.super.prefix_count; ++i) {
    ORCH_TRY(const std::string size, read_exact(*data, at, 2));
    const std::size_t length = load_u16(size.data());
    ORCH_TRY(std::string text, read_exact(*data, at + 2, length));
    if (text.empty())
      return base::fail(base::ErrorKind::corrupt,
                        "a long prefix of attribute names in the EROFS image is empty");
    prefixes.push_back({static_cast<std::uint8_t>(text.front()), text.substr(1)});
    at += (2 + length + 3) / 4 * 4;
  }
  return prefixes;
}

Result<bool> is_erofs_opaque(const ErofsVolume& volume, const std::vector<ErofsPrefix>& prefixes,
                             const ErofsInode& inode) {
  if (inode.xattrs_size < k_header) return false;
  ORCH_TRY(const std::string area, read_exact(volume.home(inode.nid), inode.xattrs, inode.xattrs_size));
  const std::string_view bytes = area;
  const std::size_t shared = static_cast<std::uint8_t>(bytes[4]);
  std::size_t at = k_header + shared * 4;
  if (at > bytes.size()) return bad_erofs_inode(inode.nid, "its attributes contradict themselves");
  for (std::size_t i = 0; i < shared; ++i) {
    ORCH_TRY(const std::optional<bool> found,
             shared_opaque(volume, prefixes, inode, load_u32(bytes.data() + k_header + i * 4)));
    if (found) return *found;
  }
  while (at + k_entry <= bytes.size()) {
    const std::string_view entry = bytes.substr(at);
    if (const std::optional<bool> found = opaque_in(entry, prefixes)) return *found;
    const auto* raw = reinterpret_cast<const std::uint8_t*>(entry.data());
    const std::size_t size = (k_entry + raw[0] + load_u16(raw + 2) + 3U) / 4 * 4;
    if (size > entry.size()) return bad_erofs_inode(inode.nid, "its attributes contradict themselves");
    at += size;
  }
  return false;
}

}  // namespace orch::image
