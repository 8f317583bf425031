#include "image/erofs_index.hpp"

#include "image/bytes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

namespace orch::image {

namespace {

constexpr std::uint32_t k_cluster_count = 0x800;  // the value of a non-head is its extent's length in blocks
constexpr std::uint32_t k_count_mask = 0x7FF;
constexpr std::size_t k_batch = 32U << 10;  // of bytes of an index at a time; whole entries and packs

enum class ClusterType : std::uint8_t { plain = 0, head1 = 1, inside = 2, head2 = 3 };

struct Cluster {
  ClusterType type = ClusterType::plain;
  std::uint32_t value = 0;   // heads: where in the cluster; inside: distance back to the head, or a count
  std::uint64_t block = 0;   // heads
  bool partial = false;      // heads
  bool no_distance = false;  // inside: `value` is another number, unless it is a count
};

// Makes extents of clusters, which it takes in their order.
class Builder {
 public:
  Builder(const ErofsSuper& super, const ErofsInode& inode, const ErofsMapHeader& header)
      : super_(super), inode_(inode), header_(header), bits_(super.block_bits + (header.cluster & 15U)) {}

  unsigned bits() const { return bits_; }
  std::uint64_t clusters() const {
    const std::uint64_t size = std::uint64_t{1} << bits_;
    return inode_.size / size + (inode_.size % size != 0 ? 1 : 0);
  }
  Result<> add(const Cluster& cluster) {
    const Result<> added = cluster.type == ClusterType::inside ? inside(cluster) : head(cluster);
    ++number_;
    return added;
  }
  std::vector<ErofsExtent> take() && {
    while (!extents_.empty() && extents_.back().start >= inode_.size) extents_.pop_back();
    return std::move(extents_);
  }
  tl::unexpected<base::Error> bad(std::string_view what) const {
    return bad_erofs_inode(inode_.nid, fmt::format("cluster {} of its index: {}", number_, what));
  }

 private:
  Result<> head(const Cluster& cluster) {
    if (cluster.value >= std::uint64_t{1} << bits_) return bad("its extent begins behind it");
    ErofsExtent extent;
    extent.start = (number_ << bits_) + cluster.value;
    if (extents_.empty() ? extent.start != 0 : extent.start <= extents_.back().start)
      return bad("its extent begins in the wrong place");
    if (extents_.size() >= k_erofs_most_extents) return bad("there are too many extents");
    extent.address = cluster.block << super_.block_bits;
    extent.encoded = super_.block_size;
    extent.partial = cluster.partial;
    const bool rotated = (header_.advise & k_advise_interlaced) != 0;
    if (cluster.type == ClusterType::plain) {
      extent.encoding = rotated ? ErofsEncoding::rotated : ErofsEncoding::stored;
    } else {
      ORCH_TRY(extent.encoding, algorithm(cluster.type));
    }
    const std::uint16_t big = cluster.type == ClusterType::head1 ? k_advise_big1 : k_advise_big2;
    grows_ = (header_.advise & big) != 0;
    head_ = number_;
    extents_.push_back(extent);
    return {};
  }

  Result<ErofsEncoding> algorithm(ClusterType type) const {
    const unsigned id = type == ClusterType::head1 ? header_.algorithms & 15U : header_.algorithms >> 4U;
    const bool announced =
        super_.has(k_erofs_compression_configs) ? (super_.compressors >> id & 1) != 0 : id == 0;
    if (id > static_cast<unsigned>(ErofsEncoding::zstd) || !announced)
      return bad(fmt::format("its compressor {} is not one of the image's", id));
    return static_cast<ErofsEncoding>(id);
  }

  Result<> inside(const Cluster& cluster) {
    if (extents_.empty()) return bad("it belongs to no extent");
    if ((cluster.value & k_cluster_count) != 0) return count(cluster.value & k_count_mask);
    if (cluster.no_distance) return {};
    if (cluster.value == 0 || cluster.value > number_ - head_) return bad("it points to no head");
    return {};
  }

  Result<> count(std::uint64_t blocks) {
    if ((header_.advise & (k_advise_big1 | k_advise_big2)) == 0 || number_ != head_ + 1)
      return bad("a length stands where none belongs");
    if (blocks << super_.block_bits > k_erofs_largest_encoded)
      return bad(fmt::format("its extent has {} blocks", blocks));
    if (grows_) extents_.back().encoded = static_cast<std::uint32_t>(blocks << super_.block_bits);
    return {};
  }

  const ErofsSuper& super_;
  const ErofsInode& inode_;
  const ErofsMapHeader& header_;
  unsigned bits_;
  std::uint64_t number_ = 0;  // of the cluster that comes next
  std::uint64_t head_ = 0;    // number of the last head
  bool grows_ = false;        // its extent can have several blocks
  std::vector<ErofsExtent> extents_;
};

// Bytes of an index one after the other, some at a time.
class Feed {
 public:
  Feed(const RandomAccess& meta, std::uint64_t at, std::uint64_t size) : meta_(meta), at_(at), left_(size) {}

  // The next `size` bytes, which live until the next call. `size` divides k_batch and what is left.
  Result<const std::uint8_t*> next(std::size_t size) {
    if (used_ + size > filled_) {
      used_ = 0;
      filled_ = static_cast<std::size_t>(std::min<std::uint64_t>(left_, k_batch));
      buffer_.resize(filled_);
      ORCH_CHECK(read_full(meta_, at_, buffer_));
      at_ += filled_;
      left_ -= filled_;
    }
    const std::uint8_t* bytes = buffer_.data() + used_;
    used_ += size;
    return bytes;
  }

 private:
  const RandomAccess& meta_;
  std::uint64_t at_;
  std::uint64_t left_;
  std::vector<std::uint8_t> buffer_;
  std::size_t used_ = 0;
  std::size_t filled_ = 0;
};

Result<> check_room(const Builder& builder, const RandomAccess& meta, std::uint64_t at, std::uint64_t size) {
  if (at > meta.size() || size > meta.size() - at)
    return builder.bad(fmt::format("the index has {} bytes and goes beyond the image's end", size));
  return {};
}

Result<std::uint64_t> read_full_index(const RandomAccess& meta, std::uint64_t at, Builder& builder) {
  constexpr std::size_t k_index_entry = 8;
  const std::uint64_t size = builder.clusters() * k_index_entry;
  ORCH_CHECK(check_room(builder, meta, at, size));
  Feed feed(meta, at, size);
  for (std::uint64_t i = 0; i < builder.clusters(); ++i) {
    ORCH_TRY(const std::uint8_t* raw, feed.next(k_index_entry));
    const std::uint16_t advise = load_u16(raw);
    Cluster cluster;
    cluster.type = static_cast<ClusterType>(advise & 3);
    cluster.partial = (advise & 0x8000) != 0;
    const bool inside = cluster.type == ClusterType::inside;
    cluster.value = load_u16(raw + (inside ? 4 : 2));
    cluster.block = inside ? 0 : load_u32(raw + 4);
    ORCH_CHECK(builder.add(cluster));
  }
  return at + size;
}

// A pack is a bit string of `count` items of `width` bits, then the 4 bytes of a block number.
struct PackShape {
  std::size_t size;
  unsigned count;
  unsigned width;
};
constexpr PackShape k_pack4 = {8, 2, 16};
constexpr PackShape k_pack2 = {32, 16, 14};

// Gives heads the block that a pack's base and the items before them say.
class PackBlocks {
 public:
  PackBlocks(std::uint32_t base, bool big) : block_(base), big_(big) {}
  void visit(Cluster& cluster) {
    if (cluster.type != ClusterType::inside) {
      if (!big_ || pending_) ++block_;
      pending_ = true;
      cluster.block = block_;
    } else if (big_ && (cluster.value & k_cluster_count) != 0) {
      block_ += cluster.value & k_count_mask;
      pending_ = false;
    }
  }

 private:
  std::uint64_t block_;
  bool big_;
  bool pending_ = false;  // a head's blocks are not counted yet
};

Result<> read_pack(const std::uint8_t* raw, const PackShape& shape, std::uint64_t most, bool big,
                   Builder& builder) {
  const unsigned low = std::max(builder.bits(), 12U);
  PackBlocks blocks(load_u32(raw + shape.size - 4), big);
  for (unsigned i = 0; i < shape.count && i < most; ++i) {
    const unsigned bit = i * shape.width;
    const std::uint32_t item = load_u32(raw + bit / 8) >> (bit % 8);
    Cluster cluster;
    cluster.value = item & ((1U << low) - 1);
    cluster.type = static_cast<ClusterType>(item >> low & 3);
    cluster.no_distance = i + 1 == shape.count;
    blocks.visit(cluster);
    ORCH_CHECK(builder.add(cluster));
  }
  return {};
}

// Packs of 4 bytes until the address is a multiple of 32, then packs of 2 bytes if they are used, then packs
// of 4 bytes for the rest.
Result<std::uint64_t> read_compact_index(const RandomAccess& meta, std::uint64_t at, std::uint16_t advise,
                                         Builder& builder) {
  const bool two_bytes = (advise & k_advise_2b) != 0;
  if (builder.bits() > (two_bytes ? 12U : 14U)) return builder.bad("clusters are too large for this index");
  const bool big = (advise & k_advise_big1) != 0;
  if (big != ((advise & k_advise_big2) != 0)) return builder.bad("only one kind of extent may be large");
  const std::uint64_t clusters = builder.clusters();
  const std::uint64_t first = std::min<std::uint64_t>(((32 - at % 32) / 4) & 7, clusters);
  const std::uint64_t middle = two_bytes ? (clusters - first) / 16 * 16 : 0;
  const std::uint64_t last = clusters - first - middle;
  std::uint64_t end = at;
  for (const auto& [count, shape] :
       {std::pair(first, k_pack4), std::pair(middle, k_pack2), std::pair(last, k_pack4)}) {
    const std::uint64_t size = (count + shape.count - 1) / shape.count * shape.size;
    ORCH_CHECK(check_room(builder, meta, end, size));
    Feed feed(meta, end, size);
    for (std::uint64_t i = 0; i < count; i += shape.count) {
      ORCH_TRY(const std::uint8_t* raw, feed.next(shape.size));
      ORCH_CHECK(read_pack(raw, shape, count - i, big, builder));
    }
    end += size;
  }
  return end;
}

}  // namespace

Result<ErofsIndex> read_erofs_index(const ErofsSuper& super, const RandomAccess& meta,
                                    const ErofsInode& inode, const ErofsMapHeader& header) {
  Builder builder(super, inode, header);
  ErofsIndex index;
  if (inode.layout == ErofsLayout::compressed_full) {
    ORCH_TRY(index.end, read_full_index(meta, header.at + 16, builder));
  } else {
    if ((header.cluster & 15) != 0)
      return builder.bad("clusters larger than blocks do not go with this index");
    ORCH_TRY(index.end, read_compact_index(meta, header.at + 8, header.advise, builder));
  }
  index.extents = std::move(builder).take();
  return index;
}

}  // namespace orch::image
