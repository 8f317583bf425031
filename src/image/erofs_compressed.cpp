// Compressed data: by the list of extents, of which those are decoded that a reader wants.
#include "image/erofs_data.hpp"
#include "image/erofs_map.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>

namespace orch::image {

namespace {

// The least that is decoded at once of an extent. Each further try decodes twice as much, so that reading an
// extent in small pieces costs no more than decoding it twice.
constexpr std::uint64_t k_least = 4U << 10;

// How many encoded bytes at most make so many bytes of LZ4 (LZ4_compressBound), with room for the sequence that
// stands across the end.
constexpr std::uint64_t lz4_bound(std::uint64_t bytes) {
  return bytes + bytes / 255 + 64;
}

class CompressedData final : public RandomAccess {
 public:
  CompressedData(const ErofsVolume& volume, const ErofsInode& inode, std::vector<ErofsExtent> extents)
      : volume_(volume),
        packed_(volume.packed.get()),
        nid_(inode.nid),
        size_(inode.size),
        extents_(std::move(extents)) {}
  std::uint64_t size() const override { return size_; }

  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) const override {
    if (offset >= size_ || out.empty()) return std::size_t{0};
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), size_ - offset));
    auto at = std::upper_bound(extents_.begin(), extents_.end(), offset,
                               [](std::uint64_t place, const ErofsExtent& e) { return place < e.start; });
    std::size_t done = 0;
    for (--at; done < wanted; ++at) {
      const std::uint64_t end = at + 1 == extents_.end() ? size_ : (at + 1)->start;
      const std::uint64_t from = offset + done - at->start;
      const std::uint64_t length = end - at->start;
      const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(length - from, wanted - done));
      if (Result<> got = read_extent(*at, length, from, out.subspan(done, count)); !got)
        return base::fail(std::move(got).error().while_doing(
            fmt::format("reading the extent at byte {} of inode {}", at->start, nid_ & ~k_erofs_in_metabox)));
      done += count;
    }
    return wanted;
  }

 private:
  // Bytes of one extent of `length` bytes, from its byte `from` on.
  Result<> read_extent(const ErofsExtent& extent, std::uint64_t length, std::uint64_t from,
                       std::span<std::uint8_t> out) const {
    if (extent.encoding == ErofsEncoding::hole) {
      std::fill(out.begin(), out.end(), std::uint8_t{0});
      return {};
    }
    if (extent.encoding == ErofsEncoding::fragment) {
      if (packed_ == nullptr) return bad_erofs_inode(nid_, "it has a fragment, and there are none");
      if (!erofs_has(*packed_, extent.address, length))
        return bad_erofs_inode(nid_, "its fragment lies outside of the packed inode");
      return read_full(*packed_, extent.address + from, out);
    }
    const RandomAccess& data = extent.in_inode ? volume_.home(nid_) : *volume_.image;
    if (!erofs_has(data, extent.address, extent.encoded))
      return bad_erofs_inode(nid_, "its encoded bytes lie outside of the image");
    if (extent.encoding == ErofsEncoding::stored) return read_full(data, extent.address + from, out);
    if (extent.encoding == ErofsEncoding::rotated) return read_rotated(data, extent, length, from, out);
    return read_encoded(data, extent, length, from, out);
  }

  // The bytes up to the end of the file's block stand last, those after it first.
  Result<> read_rotated(const RandomAccess& data, const ErofsExtent& extent, std::uint64_t length,
                        std::uint64_t from, std::span<std::uint8_t> out) const {
    const std::uint64_t block_size = volume_.super.block_size;
    const std::uint64_t inside = extent.start % block_size;
    const std::uint64_t before = std::min(block_size - inside, length);
    const std::uint64_t base = extent.encoded > block_size ? extent.encoded - (block_size - inside) : inside;
    if (base + before > extent.encoded)
      return bad_erofs_inode(nid_, "its stored bytes do not fit their blocks");
    const std::uint64_t first = from < before ? std::min<std::uint64_t>(before - from, out.size()) : 0;
    const std::span<std::uint8_t> head = out.first(static_cast<std::size_t>(first));
    const std::span<std::uint8_t> rest = out.subspan(head.size());
    if (!head.empty()) ORCH_CHECK(read_full(data, extent.address + base + from, head));
    if (!rest.empty()) ORCH_CHECK(read_full(data, extent.address + (from + first - before), rest));
    return {};
  }

  Result<> read_encoded(const RandomAccess& data, const ErofsExtent& extent, std::uint64_t length,
                        std::uint64_t from, std::span<std::uint8_t> out) const {
    const std::uint64_t end = from + out.size();
    const ExtentCache::Key key{extent.address, length, extent.encoded,
                               static_cast<std::uint32_t>(extent.encoding) | (extent.partial ? 0x100U : 0U) |
                                   (extent.in_inode && (nid_ & k_erofs_in_metabox) != 0 ? 0x200U : 0U)};
    ExtentCache::Bytes bytes = volume_.extents.find(key);
    if (!bytes || bytes->size() < end) {
      if (out.size() == length) return decode(data, extent, length, out);  // nobody needs it again
      const std::uint64_t before = bytes ? bytes->size() : 0;
      const std::uint64_t enough = std::max({std::bit_ceil(end), k_least, before * 2});
      std::vector<std::uint8_t> decoded(static_cast<std::size_t>(enough * 3 / 2 > length ? length : enough));
      ORCH_CHECK(decode(data, extent, length, decoded));
      bytes = std::make_shared<const std::vector<std::uint8_t>>(std::move(decoded));
      volume_.extents.keep(key, bytes);
    }
    std::memcpy(out.data(), bytes->data() + from, out.size());
    return {};
  }

  // The first bytes of the extent; all, if `out` has room for as many.
  Result<> decode(const RandomAccess& data, const ErofsExtent& extent, std::uint64_t length,
                  std::span<std::uint8_t> out) const {
    const auto buffer = std::make_unique_for_overwrite<std::uint8_t[]>(extent.encoded);
    const std::span<std::uint8_t> encoded(buffer.get(), extent.encoded);
    const bool all = out.size() == length && !extent.partial;
    // The beginning of LZ4 data decodes without the rest, behind zeros of less than a block.
    const std::uint64_t enough = lz4_bound(out.size()) + volume_.super.block_size;
    if (!all && extent.encoding == ErofsEncoding::lz4 && enough < extent.encoded) {
      const auto first = encoded.first(static_cast<std::size_t>(enough));
      ORCH_CHECK(read_full(data, extent.address, first));
      if (volume_.codec.decode(extent.encoding, first, out, ErofsWanted::prefix)) return {};
    }
    ORCH_CHECK(read_full(data, extent.address, encoded));
    return volume_.codec.decode(extent.encoding, encoded, out, all ? ErofsWanted::all : ErofsWanted::prefix);
  }

  const ErofsVolume& volume_;
  // As it was when this was opened: null for the packed inode itself, which can have no fragments.
  const RandomAccess* packed_;
  std::uint64_t nid_;
  std::uint64_t size_;
  std::vector<ErofsExtent> extents_;
};

}  // namespace

Result<std::unique_ptr<RandomAccess>> open_erofs_compressed(const ErofsVolume& volume,
                                                            const ErofsInode& inode) {
  ORCH_TRY(std::vector<ErofsExtent> extents, read_erofs_map(volume.super, volume.home(inode.nid), inode));
  return std::unique_ptr<RandomAccess>(std::make_unique<CompressedData>(volume, inode, std::move(extents)));
}

}  // namespace orch::image
