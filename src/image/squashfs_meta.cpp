#include "image/squashfs_meta.hpp"

#include "base/text.hpp"
#include "image/bytes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace orch::image {

using base::ErrorKind;
using base::fail;

namespace {

constexpr std::size_t k_block_size = 8192;
constexpr std::size_t k_ids_per_block = 2048;
constexpr std::size_t k_max_kept = 8192;  // decoded blocks: 64 MiB
constexpr std::size_t k_max_target = 65535;
constexpr std::size_t k_fragments_per_block = k_block_size / 16;
constexpr std::size_t k_sizes_at_once = 4096;

auto corrupt(std::string what) {
  return fail(ErrorKind::corrupt, std::move(what),
              "download or copy the file again and compare its size and checksum with the publisher's");
}

std::optional<NodeType> node_type(unsigned number) {
  switch (number) {
    case 1:
    case 8:
      return NodeType::directory;
    case 2:
    case 9:
      return NodeType::file;
    case 3:
    case 10:
      return NodeType::symlink;
    case 4:
    case 11:
      return NodeType::block_device;
    case 5:
    case 12:
      return NodeType::char_device;
    case 6:
    case 13:
      return NodeType::fifo;
    case 7:
    case 14:
      return NodeType::socket;
    default:
      return std::nullopt;
  }
}

}  // namespace

Result<std::unique_ptr<SquashfsMeta>> SquashfsMeta::open(std::shared_ptr<const RandomAccess> payload) {
  ORCH_TRY(const SquashfsSuper super, read_squashfs_super(*payload, 0));
  ORCH_TRY(SquashfsCodec codec, SquashfsCodec::create(super.compressor, super.block_size));
  return std::unique_ptr<SquashfsMeta>(new SquashfsMeta(std::move(payload), super, std::move(codec)));
}

Result<const SquashfsMeta::Block*> SquashfsMeta::block(std::uint64_t position) {
  if (const auto found = blocks_.find(position); found != blocks_.end()) return &found->second;
  if (position < k_squashfs_super_size || position + 2 > super_.bytes_used)
    return corrupt(fmt::format("a metadata block at {} lies outside of the file system", position));
  std::array<std::uint8_t, k_block_size> raw{};
  ORCH_CHECK(read_full(*payload_, position, std::span(raw).first(2)));
  const std::uint16_t header = load_u16(raw.data());
  const std::size_t size = header & 0x7FFF;
  if (size == 0 || size > k_block_size || size > super_.bytes_used - position - 2)
    return corrupt(fmt::format("a metadata block at {} has {} bytes", position, size));
  ORCH_CHECK(read_full(*payload_, position + 2, std::span(raw).first(size)));
  Block block;
  block.next = position + 2 + size;
  if ((header & 0x8000) != 0) {
    block.bytes.assign(raw.begin(), raw.begin() + static_cast<std::ptrdiff_t>(size));
  } else {
    block.bytes.resize(k_block_size);
    auto length = codec_.decode(std::span(raw).first(size), block.bytes);
    if (!length) return fail(std::move(length).error());
    block.bytes.resize(*length);
  }
  if (blocks_.size() >= k_max_kept) blocks_.clear();
  return &blocks_.emplace(position, std::move(block)).first->second;
}

Result<> SquashfsMeta::read(Cursor& cursor, void* out, std::size_t size) {
  auto* to = static_cast<std::uint8_t*>(out);
  while (size > 0) {
    ORCH_TRY(const Block* const from, block(cursor.block));
    if (cursor.offset > from->bytes.size()) return corrupt("a metadata reference points behind its block");
    const std::size_t count = std::min(size, from->bytes.size() - cursor.offset);
    std::memcpy(to, from->bytes.data() + cursor.offset, count);
    to += count;
    size -= count;
    cursor.offset += count;
    if (cursor.offset == from->bytes.size()) cursor = {from->next, 0};
  }
  return {};
}

Result<SquashfsInode> SquashfsMeta::inode(std::uint64_t reference) {
  const std::uint64_t start = reference >> 16;
  if (start >= super_.bytes_used - super_.inode_table)
    return corrupt("an inode reference points outside of the inode table");
  Cursor cursor{super_.inode_table + start, static_cast<std::size_t>(reference & 0xFFFF)};
  std::array<std::uint8_t, 16> head{};
  ORCH_CHECK(read(cursor, head.data(), head.size()));
  const unsigned number = load_u16(head.data());
  const std::optional<NodeType> type = node_type(number);
  if (!type) return corrupt(fmt::format("an inode has the unknown type {}", number));
  SquashfsInode inode;
  inode.type = *type;
  inode.mode = load_u16(head.data() + 2) & 07777;
  inode.owner = load_u16(head.data() + 4);
  inode.group = load_u16(head.data() + 6);
  inode.mtime = load_u32(head.data() + 8);
  const bool extended = number > 7;
  if (*type == NodeType::file) ORCH_CHECK(read_file(cursor, extended, inode));
  if (*type == NodeType::directory) ORCH_CHECK(read_directory(cursor, extended, inode));
  if (*type == NodeType::symlink) ORCH_CHECK(read_symlink(cursor, inode));
  if (*type == NodeType::char_device || *type == NodeType::block_device) {
    std::array<std::uint8_t, 8> raw{};  // number of names, device
    ORCH_CHECK(read(cursor, raw.data(), raw.size()));
    inode.device = load_u32(raw.data() + 4);
  }
  return inode;
}

Result<> SquashfsMeta::read_file(Cursor& cursor, bool extended, SquashfsInode& inode) {
  std::array<std::uint8_t, 40> raw{};
  ORCH_CHECK(read(cursor, raw.data(), extended ? 40 : 16));
  if (extended) {
    inode.blocks_start = load_u64(raw.data());
    inode.size = load_u64(raw.data() + 8);
    inode.fragment = load_u32(raw.data() + 28);
    inode.fragment_offset = load_u32(raw.data() + 32);
  } else {
    inode.blocks_start = load_u32(raw.data());
    inode.fragment = load_u32(raw.data() + 4);
    inode.fragment_offset = load_u32(raw.data() + 8);
    inode.size = load_u32(raw.data() + 12);
  }
  if (inode.size > k_max_file_size) return corrupt(fmt::format("a file claims to have {} bytes", inode.size));
  const std::uint64_t tail = inode.size % super_.block_size;
  std::uint64_t count = inode.size / super_.block_size;
  if (tail != 0 && !inode.has_fragment()) ++count;
  if (inode.has_fragment() && tail == 0) inode.fragment = 0xFFFFFFFF;
  if (inode.has_fragment() &&
      (inode.fragment >= super_.fragment_count || inode.fragment_offset > super_.block_size - tail))
    return corrupt("the end of a file lies outside of the fragments");
  // Read in portions: what the image claims is not allocated before it is there.
  while (inode.blocks.size() < count) {
    const std::size_t portion =
        static_cast<std::size_t>(std::min<std::uint64_t>(count - inode.blocks.size(), k_sizes_at_once));
    std::array<std::uint8_t, k_sizes_at_once * 4> sizes;
    ORCH_CHECK(read(cursor, sizes.data(), portion * 4));
    for (std::size_t i = 0; i < portion; ++i) {
      const std::uint32_t size = load_u32(sizes.data() + i * 4);
      if ((size & (k_squashfs_stored - 1)) > super_.block_size || size >= 2 * k_squashfs_stored)
        return corrupt(fmt::format("a data block claims to have {} bytes on disk", size));
      inode.blocks.push_back(size);
    }
  }
  return {};
}

Result<> SquashfsMeta::read_directory(Cursor& cursor, bool extended, SquashfsInode& inode) {
  std::array<std::uint8_t, 24> raw{};
  ORCH_CHECK(read(cursor, raw.data(), extended ? 24 : 16));
  // Three bytes stand for "." and "..", which are not stored.
  std::uint32_t size = extended ? load_u32(raw.data() + 4) : load_u16(raw.data() + 8);
  inode.size = size > 3 ? size - 3 : 0;
  inode.table_block = load_u32(raw.data() + (extended ? 8 : 0));
  inode.table_offset = load_u16(raw.data() + (extended ? 18 : 10));
  return {};
}

Result<> SquashfsMeta::read_symlink(Cursor& cursor, SquashfsInode& inode) {
  std::array<std::uint8_t, 8> raw{};
  ORCH_CHECK(read(cursor, raw.data(), raw.size()));
  inode.size = load_u32(raw.data() + 4);
  if (inode.size == 0 || inode.size > k_max_target)
    return corrupt(fmt::format("a symbolic link has a target of {} bytes", inode.size));
  inode.target.resize(static_cast<std::size_t>(inode.size));
  ORCH_CHECK(read(cursor, inode.target.data(), inode.target.size()));
  if (inode.target.find('\0') != std::string::npos) return corrupt("a symbolic link's target has a NUL byte");
  return {};
}

Result<std::vector<DirEntry>> SquashfsMeta::entries(const SquashfsInode& directory) {
  std::vector<DirEntry> out;
  Cursor cursor{super_.directory_table + directory.table_block, directory.table_offset};
  std::uint64_t left = directory.size;
  const auto take = [&](void* to, std::size_t size) -> Result<> {
    if (size > left) return corrupt("a directory ends in the middle of an entry");
    left -= size;
    return read(cursor, to, size);
  };
  while (left > 0) {
    std::array<std::uint8_t, 12> header{};
    ORCH_CHECK(take(header.data(), header.size()));
    const std::uint32_t count = load_u32(header.data());
    if (count > 255)
      return corrupt(fmt::format("a directory header claims {} entries", std::uint64_t{count} + 1));
    const std::uint64_t inode_block = load_u32(header.data() + 4);
    for (std::uint32_t i = 0; i <= count; ++i) {
      std::array<std::uint8_t, 8> raw{};
      ORCH_CHECK(take(raw.data(), raw.size()));
      DirEntry entry;
      entry.name.resize(std::size_t{load_u16(raw.data() + 6)} + 1);
      ORCH_CHECK(take(entry.name.data(), entry.name.size()));
      if (!is_valid_name(entry.name))
        return corrupt(fmt::format("a directory has an entry with the name '{}'",
                                   base::printable(std::string_view(entry.name).substr(0, 255))));
      const std::optional<NodeType> type = node_type(load_u16(raw.data() + 4));
      if (!type) return corrupt(fmt::format("'{}' has an unknown type", base::printable(entry.name)));
      entry.type = *type;
      entry.node.value = inode_block << 16 | load_u16(raw.data());
      out.push_back(std::move(entry));
    }
  }
  const auto less = [](const DirEntry& a, const DirEntry& b) { return a.name < b.name; };
  if (!std::is_sorted(out.begin(), out.end(), less)) std::sort(out.begin(), out.end(), less);
  const auto twice = std::adjacent_find(
      out.begin(), out.end(), [](const DirEntry& a, const DirEntry& b) { return a.name == b.name; });
  if (twice != out.end())
    return corrupt(fmt::format("the name '{}' stands in one directory twice", base::printable(twice->name)));
  return out;
}

Result<SquashfsFragment> SquashfsMeta::fragment(std::uint32_t index) {
  if (index >= super_.fragment_count) return corrupt("a fragment number is out of range");
  std::array<std::uint8_t, 16> raw{};
  const std::uint64_t place = super_.fragment_table + index / k_fragments_per_block * 8;
  ORCH_CHECK(read_full(*payload_, place, std::span(raw).first(8)));
  Cursor cursor{load_u64(raw.data()), index % k_fragments_per_block * 16};
  ORCH_CHECK(read(cursor, raw.data(), raw.size()));
  SquashfsFragment fragment{load_u64(raw.data()), load_u32(raw.data() + 8)};
  const std::uint32_t size = fragment.size & (k_squashfs_stored - 1);
  if (size == 0 || size > super_.block_size || fragment.start > super_.bytes_used ||
      size > super_.bytes_used - fragment.start)
    return corrupt(fmt::format("fragment {} lies outside of the file system", index));
  return fragment;
}

Result<std::uint32_t> SquashfsMeta::id(std::uint16_t index) {
  if (index >= super_.id_count) return corrupt("the number of an owner is out of range");
  while (ids_.size() <= index) {
    // A metadata block holds 2048 of them; where each block begins stands in a list.
    std::array<std::uint8_t, 8> place{};
    ORCH_CHECK(read_full(*payload_, super_.id_table + ids_.size() / k_ids_per_block * 8, place));
    Cursor cursor{load_u64(place.data()), 0};
    const std::size_t count = std::min(k_ids_per_block, super_.id_count - ids_.size());
    std::vector<std::uint8_t> raw(count * 4);
    ORCH_CHECK(read(cursor, raw.data(), raw.size()));
    for (std::size_t i = 0; i < count; ++i) ids_.push_back(load_u32(raw.data() + i * 4));
  }
  return ids_[index];
}

}  // namespace orch::image
