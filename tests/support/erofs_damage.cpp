#include "support/erofs_damage.hpp"

#include "image/bytes.hpp"
#include "image/erofs.hpp"
#include "image/erofs_map.hpp"

#include <algorithm>
#include <iterator>
#include <memory>

namespace orch::test {

namespace {

using base::Result;
using image::ErofsEncoding;
using image::ErofsInode;
using image::ErofsLayout;
using image::NodeType;

constexpr std::size_t k_super = 1024;
constexpr std::size_t k_records = 48;  // of compressors, behind the superblock
constexpr std::size_t k_sum_bit = k_super + 8;

// Finds the places of an image.
class Survey {
 public:
  Survey(Original& original, const image::ErofsTree& tree, const image::RandomAccess& file)
      : original_(original), tree_(tree), file_(file) {}

  Result<> run() {
    const image::ErofsSuper& super = tree_.super();
    add(Part::super, k_super, super.super_size + k_records);
    add(Part::anywhere, 0, original_.bytes.size());
    if (super.metabox_nid != 0) {
      ORCH_TRY(metabox_, tree_.open({super.metabox_nid}));
    }
    for (const image::NodeId node : original_.nodes) ORCH_CHECK(add_inode(node.value));
    return {};
  }

 private:
  void add(Part part, std::uint64_t begin, std::uint64_t size) {
    const std::uint64_t all = original_.bytes.size();
    if (begin < all && size != 0)
      original_.places[static_cast<std::size_t>(part)].push_back({begin, std::min(size, all - begin)});
  }

  // What lives in the metabox has no place of its own: its bytes are among the metabox's compressed ones.
  void add_at_home(const ErofsInode& inode, Part part, std::uint64_t begin, std::uint64_t size) {
    if (!inode.in_metabox()) add(part, begin, size);
  }

  Result<> add_inode(std::uint64_t nid) {
    const image::ErofsSuper& super = tree_.super();
    const bool hidden = (nid & image::k_erofs_in_metabox) != 0;
    const image::RandomAccess& home = hidden ? *metabox_ : file_;
    ORCH_TRY(const ErofsInode inode, image::read_erofs_inode(super, home, nid));
    if (!hidden) {
      const std::uint64_t begin = static_cast<std::uint64_t>(super.meta_start) + 32 * nid;
      add(Part::inode, begin, inode.end - begin);
    }
    const NodeType type = inode.info.type;
    if (type != NodeType::file && type != NodeType::directory && type != NodeType::symlink) return {};
    switch (inode.layout) {
      case ErofsLayout::compressed_full:
      case ErofsLayout::compressed_compact:
        return add_compressed(inode, home);
      case ErofsLayout::chunks: {
        const std::uint64_t chunk = std::uint64_t{super.block_size} << (inode.chunk_format & 31U);
        add_at_home(inode, Part::index, inode.end,
                    ((inode.chunk_format & 32U) != 0 ? 8 : 4) * (inode.size / chunk + 1));
        break;
      }
      case ErofsLayout::plain:
      case ErofsLayout::inline_tail:
        if (type != NodeType::directory) break;
        add_at_home(inode, Part::directory, inode.end,
                    inode.layout == ErofsLayout::inline_tail ? inode.size % super.block_size : 0);
        add(Part::directory, inode.start_block * super.block_size,
            inode.size / super.block_size * super.block_size);
        break;
    }
    return {};
  }

  Result<> add_compressed(const ErofsInode& inode, const image::RandomAccess& home) {
    ORCH_TRY(const std::vector<image::ErofsExtent> extents,
             image::read_erofs_map(tree_.super(), home, inode));
    if (extents.empty()) return {};
    const std::uint64_t header = (inode.end + 7) / 8 * 8;
    add_at_home(inode, Part::map_header, header, 8);
    const std::uint64_t clusters = inode.size / tree_.super().block_size + 1;
    if (extents.size() > 1 || extents[0].encoding != ErofsEncoding::fragment)
      add_at_home(inode, Part::index, header + 8,
                  (inode.layout == ErofsLayout::compressed_full ? 8 : 4) * clusters);
    for (const image::ErofsExtent& extent : extents) {
      if (extent.encoding > ErofsEncoding::zstd || (extent.in_inode && inode.in_metabox())) continue;
      std::uint64_t begin = extent.address;
      const std::uint64_t end = begin + extent.encoded;
      while (begin < std::min<std::uint64_t>(end, original_.bytes.size()) && original_.bytes[begin] == '\0')
        ++begin;
      add(Part::compressed, begin, end - begin);
    }
    return {};
  }

  Original& original_;
  const image::ErofsTree& tree_;
  const image::RandomAccess& file_;
  std::unique_ptr<image::RandomAccess> metabox_;
};

// The superblock's checksum, for bytes that were changed; false where it has none, or no block to be of.
bool sum_again(std::string& bytes) {
  if (bytes.size() < k_super + 128 || (bytes[k_sum_bit] & 1) == 0) return false;
  const unsigned bits = static_cast<std::uint8_t>(bytes[k_super + 12]);
  if (bits < 9 || bits > 16) return false;
  const std::size_t block = std::size_t{1} << bits;
  const std::size_t size = block > k_super ? block - k_super : block;
  if (bytes.size() < k_super + size) return false;
  bytes.replace(k_super + 4, 4, 4, '\0');
  std::uint32_t sum = ~0U;
  for (std::size_t i = k_super; i < k_super + size; ++i) {
    sum ^= static_cast<std::uint8_t>(bytes[i]);
    for (int bit = 0; bit < 8; ++bit) sum = (sum >> 1) ^ ((sum & 1) != 0 ? 0x82F63B78U : 0U);
  }
  for (std::size_t i = 0; i < 4; ++i) bytes[k_super + 4 + i] = static_cast<char>(sum >> (8 * i));
  return true;
}

}  // namespace

Result<Original> load_original(const std::string& path) {
  ORCH_TRY(const auto file, image::FileAccess::open(path));
  Original original;
  original.name = path;
  ORCH_TRY(original.bytes, image::read_exact(*file, 0, static_cast<std::size_t>(file->size())));
  ORCH_TRY(const auto tree, image::ErofsTree::open(file));
  original.nodes = {tree->root()};
  if (tree->super().packed_nid != 0) original.nodes.push_back({tree->super().packed_nid});
  if (tree->super().metabox_nid != 0) original.nodes.push_back({tree->super().metabox_nid});
  ORCH_CHECK(image::walk(*tree, [&](const image::WalkEntry& entry) -> Result<> {
    original.nodes.push_back(entry.node);
    return {};
  }));
  ORCH_CHECK(Survey(original, *tree, *file).run());
  return original;
}

Damaged ErofsDamage::of(const Original& original) {
  Damaged damaged{original.bytes, {}, false};
  const std::uint64_t times = 1 + below(3);
  for (std::uint64_t i = 0; i < times; ++i) change(damaged.bytes, place(original, damaged.parts));
  if (below(12) == 0) cut(damaged.bytes);
  // A wrong checksum hides everything behind it: mostly there is none, or it is right again.
  const std::uint64_t kind = below(8);
  if (kind >= 4 && damaged.bytes.size() > k_sum_bit)
    damaged.bytes[k_sum_bit] = static_cast<char>(damaged.bytes[k_sum_bit] & ~1);
  if (kind >= 1 && kind < 4) damaged.summed = sum_again(damaged.bytes);
  return damaged;
}

std::size_t ErofsDamage::place(const Original& original, std::set<Part>& parts) {
  constexpr Part k_dice[] = {Part::super,      Part::super,      Part::inode,      Part::inode,
                             Part::inode,      Part::inode,      Part::inode,      Part::inode,
                             Part::map_header, Part::map_header, Part::map_header, Part::index,
                             Part::index,      Part::index,      Part::directory,  Part::directory,
                             Part::directory,  Part::compressed, Part::compressed, Part::anywhere};
  Part part = k_dice[below(std::size(k_dice))];
  if (original.places[static_cast<std::size_t>(part)].empty()) part = Part::inode;
  const std::vector<Place>& places = original.places[static_cast<std::size_t>(part)];
  parts.insert(part);
  if (places.empty()) return static_cast<std::size_t>(below(original.bytes.size()));
  const Place& chosen = places[below(places.size())];
  // The beginning of compressed data has its headers.
  const std::uint64_t most = part == Part::compressed && below(2) == 0 ? 16 : chosen.size;
  return static_cast<std::size_t>(chosen.begin + below(std::min(most, chosen.size)));
}

void ErofsDamage::change(std::string& bytes, std::size_t at) {
  constexpr std::uint64_t k_values[] = {0,          1,          2,     0x7F,      0x80,   0xFF,
                                        0x7FF,      0x800,      0xFFF, 0x1000,    0xFFFF, 0x7FFFFFFF,
                                        0x80000000, 0xFFFFFFFF, ~0ULL, 1ULL << 63};
  const std::uint64_t kind = below(4);
  if (kind == 0) {
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
    return;
  }
  const std::size_t width = std::min<std::size_t>(std::size_t{1} << below(4), bytes.size() - at);
  if (kind == 3) {  // from somewhere else
    const std::size_t from = static_cast<std::size_t>(below(bytes.size() - width + 1));
    bytes.replace(at, width, bytes.substr(from, width));
    return;
  }
  const std::uint64_t value = kind == 1 ? random_() : k_values[below(std::size(k_values))];
  for (std::size_t i = 0; i < width; ++i) bytes[at + i] = static_cast<char>(value >> (8 * i));
}

// Takes the end away; in half of the cases the superblock does not know of it.
void ErofsDamage::cut(std::string& bytes) {
  bytes.resize(static_cast<std::size_t>(1 + below(bytes.size())));
  if (bytes.size() < k_super + 128 || below(2) == 0) return;
  const unsigned bits = static_cast<std::uint8_t>(bytes[k_super + 12]) & 31U;
  const std::uint64_t blocks = bytes.size() >> bits;
  for (std::size_t i = 0; i < 4; ++i) bytes[k_super + 36 + i] = static_cast<char>(blocks >> (8 * i));
}

}  // namespace orch::test
