#include "image/erofs_data.hpp"

#include "image/bytes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace orch::image {

namespace {

// How much of `out` there is before the end of `size` bytes.
std::span<std::uint8_t> cut(std::span<std::uint8_t> out, std::uint64_t offset, std::uint64_t size) {
  if (offset >= size) return {};
  return out.first(static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), size - offset)));
}

// Zeros.
class HoleData final : public RandomAccess {
 public:
  explicit HoleData(std::uint64_t size) : size_(size) {}
  std::uint64_t size() const override { return size_; }
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) const override {
    out = cut(out, offset, size_);
    std::fill(out.begin(), out.end(), std::uint8_t{0});
    return out.size();
  }

 private:
  std::uint64_t size_;
};

// Consecutive bytes, the last of which may be somewhere else.
class FlatData final : public RandomAccess {
 public:
  struct Part {
    const RandomAccess* data = nullptr;
    std::uint64_t at = 0;
    std::uint64_t size = 0;
  };
  FlatData(Part head, Part tail) : head_(head), tail_(tail) {}
  std::uint64_t size() const override { return head_.size + tail_.size; }
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) const override {
    out = cut(out, offset, size());
    const std::span<std::uint8_t> first = cut(out, offset, head_.size);
    if (!first.empty()) ORCH_CHECK(read_full(*head_.data, head_.at + offset, first));
    const std::span<std::uint8_t> second = out.subspan(first.size());
    if (!second.empty())
      ORCH_CHECK(read_full(*tail_.data, tail_.at + (offset + first.size() - head_.size), second));
    return out.size();
  }

 private:
  Part head_;
  Part tail_;
};

// Chunks, found by a table of block numbers.
class ChunkData final : public RandomAccess {
 public:
  ChunkData(const ErofsVolume& volume, const ErofsInode& inode, std::uint64_t table, unsigned bits)
      : volume_(volume),
        nid_(inode.nid),
        size_(inode.size),
        format_(inode.chunk_format),
        table_(table),
        bits_(bits) {}
  std::uint64_t size() const override { return size_; }

  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) const override {
    out = cut(out, offset, size_);
    const std::uint64_t chunk_size = std::uint64_t{1} << bits_;
    std::size_t done = 0;
    while (done < out.size()) {
      const std::uint64_t inside = offset & (chunk_size - 1);
      const auto count =
          static_cast<std::size_t>(std::min<std::uint64_t>(chunk_size - inside, out.size() - done));
      ORCH_TRY(const std::optional<std::uint64_t> address, chunk(offset >> bits_));
      const std::span<std::uint8_t> piece = out.subspan(done, count);
      if (!address)
        std::fill(piece.begin(), piece.end(), std::uint8_t{0});
      else if (erofs_has(*volume_.image, *address, inside + count))
        ORCH_CHECK(read_full(*volume_.image, *address + inside, piece));
      else
        return bad_erofs_inode(nid_, fmt::format("chunk {} lies outside of the image", offset >> bits_));
      done += count;
      offset += count;
    }
    return done;
  }

 private:
  friend Result<std::unique_ptr<RandomAccess>> open_chunks(const ErofsVolume& volume,
                                                           const ErofsInode& inode);
  static constexpr std::uint32_t k_long_entries = 0x20;
  static constexpr std::uint32_t k_48bit = 0x40;
  static constexpr std::uint32_t k_known = 0x7F;

  // Where chunk `number` begins; nullopt for a hole.
  Result<std::optional<std::uint64_t>> chunk(std::uint64_t number) const {
    const RandomAccess& home = volume_.home(nid_);
    std::array<std::uint8_t, 8> raw{};
    std::uint64_t block = 0;
    std::uint64_t none = 0xFFFF'FFFF;
    if ((format_ & k_long_entries) == 0) {
      ORCH_CHECK(read_full(home, table_ + number * 4, std::span(raw).first(4)));
      block = load_u32(raw.data());
    } else {
      ORCH_CHECK(read_full(home, table_ + number * 8, raw));
      // The device number between them is masked by the number of devices, and there is one.
      block = load_u32(raw.data() + 4);
      if ((format_ & k_48bit) != 0) {
        block |= std::uint64_t{load_u16(raw.data())} << 32;
        none = 0xFFFF'FFFF'FFFF;
      }
    }
    if (block == none) return std::optional<std::uint64_t>();
    if (block >> (63 - volume_.super.block_bits) != 0)
      return bad_erofs_inode(nid_, fmt::format("chunk {} lies outside of the image", number));
    return std::optional<std::uint64_t>(block << volume_.super.block_bits);
  }

  const ErofsVolume& volume_;
  std::uint64_t nid_;
  std::uint64_t size_;
  std::uint32_t format_;
  std::uint64_t table_;
  unsigned bits_;
};

Result<std::unique_ptr<RandomAccess>> open_chunks(const ErofsVolume& volume, const ErofsInode& inode) {
  if ((inode.chunk_format & 0xFFFFU & ~ChunkData::k_known) != 0)
    return bad_erofs_inode(inode.nid, fmt::format("its chunk format {:#x} is not known", inode.chunk_format));
  const unsigned bits = volume.super.block_bits + (inode.chunk_format & 31U);
  const std::uint64_t entry = (inode.chunk_format & ChunkData::k_long_entries) != 0 ? 8 : 4;
  const std::uint64_t table = (inode.end + entry - 1) / entry * entry;
  const std::uint64_t count =
      (inode.size >> bits) + ((inode.size & ((std::uint64_t{1} << bits) - 1)) != 0 ? 1 : 0);
  if (!erofs_has(volume.home(inode.nid), table, 0) || count > (volume.home(inode.nid).size() - table) / entry)
    return bad_erofs_inode(inode.nid, fmt::format("its {} chunks go beyond the image's end", count));
  return std::unique_ptr<RandomAccess>(std::make_unique<ChunkData>(volume, inode, table, bits));
}

Result<std::unique_ptr<RandomAccess>> open_flat(const ErofsVolume& volume, const ErofsInode& inode) {
  if (inode.size == 0 || inode.hole)
    return std::unique_ptr<RandomAccess>(std::make_unique<HoleData>(inode.size));
  const std::uint64_t block_size = volume.super.block_size;
  const std::uint64_t tail = inode.layout == ErofsLayout::plain ? 0 : (inode.size - 1) % block_size + 1;
  // Directories and links are looked at again and again, in small pieces.
  const bool metadata = inode.info.type != NodeType::file;
  FlatData::Part first{metadata ? static_cast<const RandomAccess*>(&volume.pages) : volume.image.get(), 0,
                       inode.size - tail};
  if (first.size != 0) {
    if (inode.start_block >> (63 - volume.super.block_bits) != 0 ||
        !erofs_has(*volume.image, inode.start_block << volume.super.block_bits, first.size))
      return bad_erofs_inode(inode.nid, fmt::format("its {} bytes at block {} lie outside of the image",
                                                    first.size, inode.start_block));
    first.at = inode.start_block << volume.super.block_bits;
  }
  const RandomAccess& home = volume.home(inode.nid);
  if (tail != 0 && (inode.end % block_size + tail > block_size || !erofs_has(home, inode.end, tail)))
    return bad_erofs_inode(inode.nid, fmt::format("its last {} bytes cross a block's end", tail));
  return std::unique_ptr<RandomAccess>(
      std::make_unique<FlatData>(first, FlatData::Part{&home, inode.end, tail}));
}

}  // namespace

bool erofs_has(const RandomAccess& data, std::uint64_t offset, std::uint64_t size) {
  return offset <= data.size() && size <= data.size() - offset;
}

Result<ErofsInode> ErofsVolume::inode(std::uint64_t nid) const {
  if ((nid & k_erofs_in_metabox) != 0 && metabox_pages == nullptr)
    return bad_erofs_inode(nid, "there is no metabox");
  return read_erofs_inode(super, home(nid), nid);
}

Result<std::unique_ptr<RandomAccess>> open_erofs_data(const ErofsVolume& volume, const ErofsInode& inode) {
  switch (inode.layout) {
    case ErofsLayout::plain:
    case ErofsLayout::inline_tail:
      return open_flat(volume, inode);
    case ErofsLayout::chunks:
      return open_chunks(volume, inode);
    case ErofsLayout::compressed_full:
    case ErofsLayout::compressed_compact:
      return open_erofs_compressed(volume, inode);
  }
  return bad_erofs_inode(inode.nid, "its layout is not known");
}

}  // namespace orch::image
