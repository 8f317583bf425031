#include "image/squashfs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace orch::image {

using base::ErrorKind;
using base::fail;

namespace {

// One file: decodes the block that is asked for and keeps it.
class SquashfsFile final : public RandomAccess {
 public:
  SquashfsFile(SquashfsInode inode, SquashfsMeta& meta, SquashfsBlocks& blocks, FragmentCache& fragments)
      : inode_(std::move(inode)), meta_(meta), blocks_(blocks), fragments_(fragments) {
    std::uint64_t place = inode_.blocks_start;
    places_.reserve(inode_.blocks.size());
    for (const std::uint32_t size : inode_.blocks) {
      places_.push_back(place);
      place += size & (k_squashfs_stored - 1);
    }
  }

  std::uint64_t size() const override { return inode_.size; }

  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) const override {
    std::size_t done = 0;
    while (done < out.size() && offset < inode_.size) {
      const std::uint64_t block_size = meta_.super().block_size;
      const std::uint64_t index = offset / block_size;
      ORCH_TRY(const std::span<const std::uint8_t> block, decoded(static_cast<std::size_t>(index)));
      const auto from = static_cast<std::size_t>(offset % block_size);
      const std::size_t count = std::min(out.size() - done, block.size() - from);
      std::memcpy(out.data() + done, block.data() + from, count);
      done += count;
      offset += count;
    }
    return done;
  }

 private:
  // Precondition: the block begins before the file's end. The span is not empty and lives until the next
  // call.
  Result<std::span<const std::uint8_t>> decoded(std::size_t index) const {
    const std::uint64_t block_size = meta_.super().block_size;
    const auto length = static_cast<std::size_t>(std::min(block_size, inode_.size - index * block_size));
    if (index >= inode_.blocks.size()) {
      ORCH_TRY(const SquashfsFragment where, meta_.fragment(inode_.fragment));
      ORCH_TRY(tail_, fragments_.get(inode_.fragment, where, blocks_));
      if (inode_.fragment_offset + length > tail_->size())
        return fail(ErrorKind::corrupt, "the end of a file lies outside of its fragment block");
      return std::span<const std::uint8_t>(*tail_).subspan(inode_.fragment_offset, length);
    }
    // A few blocks are kept: readers of ELF files go back and forth between headers and tables.
    for (const Kept& kept : kept_)
      if (kept.index == index) return std::span<const std::uint8_t>(kept.bytes);
    Kept& kept = kept_[next_++ % kept_.size()];
    kept.index = ~std::size_t{0};
    kept.bytes.assign(length, 0);
    if (inode_.blocks[index] != 0) {
      ORCH_TRY(const std::size_t got, blocks_.read(places_[index], inode_.blocks[index], kept.bytes));
      if (got != length)
        return fail(ErrorKind::corrupt, fmt::format("a data block has {} bytes, expected {}", got, length));
    }
    kept.index = index;
    return std::span<const std::uint8_t>(kept.bytes);
  }

  struct Kept {
    std::size_t index = ~std::size_t{0};
    Bytes bytes;
  };
  SquashfsInode inode_;
  SquashfsMeta& meta_;
  SquashfsBlocks& blocks_;
  FragmentCache& fragments_;
  std::vector<std::uint64_t> places_;
  mutable std::array<Kept, 4> kept_;
  mutable std::size_t next_ = 0;
  mutable std::shared_ptr<const Bytes> tail_;
};

}  // namespace

SquashfsTree::SquashfsTree(std::unique_ptr<SquashfsMeta> meta, SquashfsBlocks blocks)
    : meta_(std::move(meta)),
      blocks_(std::make_unique<SquashfsBlocks>(std::move(blocks))),
      fragments_(std::make_unique<FragmentCache>(meta_->super().block_size)) {}

Result<std::unique_ptr<SquashfsTree>> SquashfsTree::open(std::shared_ptr<const RandomAccess> payload) {
  ORCH_TRY(std::unique_ptr<SquashfsMeta> meta, SquashfsMeta::open(std::move(payload)));
  ORCH_TRY(SquashfsBlocks blocks, SquashfsBlocks::create(meta->super(), meta->payload()));
  return std::unique_ptr<SquashfsTree>(new SquashfsTree(std::move(meta), std::move(blocks)));
}

Result<NodeInfo> SquashfsTree::stat(NodeId node) const {
  ORCH_TRY(const SquashfsInode inode, meta_->inode(node.value));
  NodeInfo info;
  info.type = inode.type;
  info.mode = inode.mode;
  info.mtime = inode.mtime;
  if (inode.type == NodeType::file || inode.type == NodeType::symlink) info.size = inode.size;
  ORCH_TRY(info.uid, meta_->id(inode.owner));
  ORCH_TRY(info.gid, meta_->id(inode.group));
  info.device_major = inode.device >> 8 & 0xfff;
  info.device_minor = (inode.device & 0xff) | (inode.device >> 12 & 0xfff00);
  return info;
}

Result<std::vector<DirEntry>> SquashfsTree::list(NodeId directory) const {
  ORCH_TRY(const SquashfsInode inode, meta_->inode(directory.value));
  if (inode.type != NodeType::directory)
    return fail(ErrorKind::corrupt, "an entry that is called a directory is none");
  return meta_->entries(inode);
}

Result<std::string> SquashfsTree::readlink(NodeId symlink) const {
  ORCH_TRY(SquashfsInode inode, meta_->inode(symlink.value));
  if (inode.type != NodeType::symlink)
    return fail(ErrorKind::corrupt, "an entry that is called a symbolic link is none");
  return std::move(inode.target);
}

Result<std::unique_ptr<RandomAccess>> SquashfsTree::open(NodeId file) const {
  ORCH_TRY(SquashfsInode inode, meta_->inode(file.value));
  if (inode.type != NodeType::file) return fail(ErrorKind::corrupt, "an entry that is called a file is none");
  return std::unique_ptr<RandomAccess>(
      std::make_unique<SquashfsFile>(std::move(inode), *meta_, *blocks_, *fragments_));
}

}  // namespace orch::image
