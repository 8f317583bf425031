#include "image/erofs_map.hpp"

#include "image/bytes.hpp"
#include "image/erofs_index.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace orch::image {

namespace {

constexpr std::uint64_t k_whole_fragment = std::uint64_t{1} << 63;

std::uint64_t round_up(std::uint64_t number, std::uint64_t multiple) {
  return (number + multiple - 1) / multiple * multiple;
}

// A record of an encoded extent: the length word, and where it says so.
constexpr std::uint32_t k_length_mask = 0x1FFFFF;
constexpr std::uint32_t k_partial = 1U << 27;

class ExtentRecords {
 public:
  ExtentRecords(const ErofsSuper& super, const RandomAccess& meta, const ErofsInode& inode,
                const ErofsMapHeader& header)
      : super_(super),
        meta_(meta),
        inode_(inode),
        header_(header),
        size_(std::size_t{4} << (header.advise >> 1 & 3)) {}

  Result<std::vector<ErofsExtent>> read() {
    const unsigned bits = super_.block_bits + (header_.cluster & 15U);
    const std::uint64_t cluster = std::uint64_t{1} << bits;
    std::uint64_t count = inode_.size / cluster + (inode_.size % cluster != 0 ? 1 : 0);
    if (size_ >= 16)
      count = header_.word | std::uint64_t{header_.algorithms} << 32 | std::uint64_t{header_.cluster} << 40;
    std::uint64_t at = round_up(header_.at + 8, size_);
    std::uint64_t address = 0;
    if (size_ == 4) {
      ORCH_TRY(const std::string raw, read_exact(meta_, at, 8));
      address = load_u64(raw.data());
      at += 8;
    }
    if (count > k_erofs_most_extents || at > meta_.size() || count > (meta_.size() - at) / size_)
      return bad(fmt::format("its {} extents go beyond the image's end", count));
    std::vector<ErofsExtent> extents;
    for (std::uint64_t i = 0; i < count; ++i) {
      std::array<std::uint8_t, 32> raw{};
      ORCH_CHECK(read_full(meta_, at + i * size_, std::span(raw).first(size_)));
      const bool last = i + 1 == count;
      ORCH_TRY(ErofsExtent extent, one(raw, last, address));
      if (size_ < 16) extent.start = i << bits;
      if (extents.empty() ? extent.start != 0 : extent.start <= extents.back().start)
        return bad(fmt::format("extent {} begins in the wrong place", i));
      if (extent.start < inode_.size)
        extents.push_back(extent);
      else if (last && (header_.advise & k_advise_fragment) != 0)
        return bad("its fragment begins behind its end");
      else
        break;
    }
    return extents;
  }

 private:
  tl::unexpected<base::Error> bad(std::string_view what) const { return bad_erofs_inode(inode_.nid, what); }

  // `address`: of the next extent, where records do not say it.
  Result<ErofsExtent> one(const std::array<std::uint8_t, 32>& raw, bool last, std::uint64_t& address) const {
    const std::uint32_t word = load_u32(raw.data());
    ErofsExtent extent;
    extent.address = address;
    if (size_ >= 8) extent.address = load_u32(raw.data() + 4);
    if (size_ >= 16) {
      extent.address |= std::uint64_t{load_u32(raw.data() + 8)} << 32;
      extent.start = load_u32(raw.data() + 12);
    }
    if (size_ >= 32) extent.start |= std::uint64_t{load_u32(raw.data() + 16)} << 32;
    if (last && (header_.advise & k_advise_fragment) != 0) {
      extent.address = word | (size_ > 4 ? extent.address << 32 : 0);
      extent.encoding = ErofsEncoding::fragment;
      return extent;
    }
    extent.encoded = word & k_length_mask;
    extent.partial = (word & k_partial) != 0;
    address += extent.encoded;
    if (extent.encoded == 0) return extent;
    const unsigned format = word >> 28;
    if (format == 0) {
      const std::uint32_t mask = super_.block_size - 1;
      const bool whole = (extent.address & mask) == 0 && (extent.encoded & mask) == 0;
      const bool rotated = whole && (header_.advise & k_advise_interlaced) != 0;
      extent.encoding = rotated ? ErofsEncoding::rotated : ErofsEncoding::stored;
      return extent;
    }
    const bool announced =
        super_.has(k_erofs_compression_configs) ? (super_.compressors >> (format - 1) & 1) != 0 : format == 1;
    if (format > 4 || !announced)
      return bad(fmt::format("its compressor {} is not one of the image's", format - 1));
    extent.encoding = static_cast<ErofsEncoding>(format - 1);
    return extent;
  }

  const ErofsSuper& super_;
  const RandomAccess& meta_;
  const ErofsInode& inode_;
  const ErofsMapHeader& header_;
  std::size_t size_;
};

// The last extent is somewhere else: behind the index, or in the packed inode.
Result<> place_tail(const ErofsSuper& super, const ErofsInode& inode, const ErofsMapHeader& header,
                    ErofsIndex& index) {
  const bool fragment = (header.advise & k_advise_fragment) != 0;
  const std::uint32_t inlined = (header.advise & k_advise_inline) != 0 ? header.word >> 16 : 0;
  if (index.extents.empty() || (!fragment && inlined == 0)) return {};
  if (fragment && (header.advise & k_advise_inline) != 0)
    return bad_erofs_inode(inode.nid, "its last extent is said to be in two places");
  ErofsExtent& tail = index.extents.back();
  if (fragment) {
    const bool wide = inode.layout == ErofsLayout::compressed_full;
    const std::uint64_t high = wide ? tail.address >> super.block_bits : 0;
    tail = {tail.start, header.word | high << 32, 0, ErofsEncoding::fragment, false, false};
    return {};
  }
  if (index.end % super.block_size + inlined > super.block_size)
    return bad_erofs_inode(inode.nid, "what is encoded behind its index crosses a block's end");
  tail.address = index.end;
  tail.encoded = inlined;
  tail.in_inode = true;
  // Bytes behind the index are never rotated, whatever the header says of whole blocks.
  if (tail.encoding == ErofsEncoding::rotated) tail.encoding = ErofsEncoding::stored;
  return {};
}

Result<> check_lengths(const ErofsInode& inode, const std::vector<ErofsExtent>& extents) {
  for (std::size_t i = 0; i < extents.size(); ++i) {
    const ErofsExtent& extent = extents[i];
    const std::uint64_t end = i + 1 < extents.size() ? extents[i + 1].start : inode.size;
    const std::uint64_t length = end - extent.start;
    if (extent.encoding == ErofsEncoding::hole || extent.encoding == ErofsEncoding::fragment) continue;
    const bool stored = extent.encoding == ErofsEncoding::stored || extent.encoding == ErofsEncoding::rotated;
    if (extent.encoded == 0 || extent.encoded > k_erofs_largest_encoded ||
        length > (stored ? extent.encoded : k_erofs_largest_decoded))
      return bad_erofs_inode(inode.nid, fmt::format("the extent at byte {} has {} bytes, encoded in {}",
                                                    extent.start, length, extent.encoded));
  }
  return {};
}

}  // namespace

Result<std::vector<ErofsExtent>> read_erofs_map(const ErofsSuper& super, const RandomAccess& meta,
                                                const ErofsInode& inode) {
  if (inode.size == 0) return std::vector<ErofsExtent>();
  ErofsMapHeader header;
  header.at = round_up(inode.end, 8);
  std::array<std::uint8_t, 8> raw{};
  if (header.at > meta.size() || meta.size() - header.at < raw.size())
    return bad_erofs_inode(inode.nid, "its index goes beyond the image's end");
  ORCH_CHECK(read_full(meta, header.at, raw));
  if (const std::uint64_t word = load_u64(raw.data()); (word & k_whole_fragment) != 0) {
    const ErofsExtent all{0, word & ~k_whole_fragment, 0, ErofsEncoding::fragment, false, false};
    return std::vector<ErofsExtent>{all};
  }
  header.word = load_u32(raw.data());
  header.advise = load_u16(raw.data() + 4);
  header.algorithms = raw[6];
  header.cluster = raw[7];
  std::vector<ErofsExtent> extents;
  if (inode.layout == ErofsLayout::compressed_full && (header.advise & k_advise_extents) != 0) {
    ORCH_TRY(extents, ExtentRecords(super, meta, inode, header).read());
  } else {
    ORCH_TRY(ErofsIndex index, read_erofs_index(super, meta, inode, header));
    ORCH_CHECK(place_tail(super, inode, header, index));
    extents = std::move(index.extents);
  }
  if (extents.empty()) return bad_erofs_inode(inode.nid, "its index has no extent");
  ORCH_CHECK(check_lengths(inode, extents));
  return extents;
}

}  // namespace orch::image
