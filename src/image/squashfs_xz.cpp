// The .xz format: https://tukaani.org/xz/xz-file-format.txt. A SquashFS block is a stream with one block.
//
// liblzma's own stream decoder would do; taking its parts saves two things for each block: the memory that it
// allocates and frees, and its CRC32 (3 % of all the time), which libdeflate computes with the processor's
// instructions. All that the stream decoder verifies is verified here.
#include "image/squashfs_decoder.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <libdeflate.h>
#include <lzma.h>
#include <utility>
#include <vector>

namespace orch::image {

namespace {

// A dictionary is not larger than a block, which is at most 1 MiB. More than this is damage, or an attack.
constexpr std::uint64_t k_max_memory = 64U << 20;

// Keeps what liblzma frees for its next request of that size: it asks for the same sizes with each block.
class MemoryPool {
 public:
  MemoryPool() = default;
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;
  ~MemoryPool() {
    for (const Piece& piece : pieces_) std::free(piece.memory);
  }

  const lzma_allocator* allocator() const { return &allocator_; }

 private:
  struct Piece {
    void* memory;
    std::size_t size;
    bool used;
  };
  static constexpr std::size_t k_pieces = 16;

  static void* allocate(void* opaque, std::size_t count, std::size_t size) {
    return static_cast<MemoryPool*>(opaque)->take(count * size);  // liblzma's count is 1
  }
  static void release(void* opaque, void* memory) { static_cast<MemoryPool*>(opaque)->give_back(memory); }

  void* take(std::size_t size) {
    for (Piece& piece : pieces_)
      if (!piece.used && piece.size == size) {
        piece.used = true;
        return piece.memory;
      }
    if (pieces_.size() >= k_pieces) drop_unused();
    void* memory = std::malloc(size);
    if (memory != nullptr) pieces_.push_back({memory, size, true});
    return memory;
  }
  void give_back(void* memory) {
    for (Piece& piece : pieces_)
      if (piece.memory == memory) piece.used = false;
  }
  void drop_unused() {
    std::erase_if(pieces_, [](const Piece& piece) {
      if (!piece.used) std::free(piece.memory);
      return !piece.used;
    });
  }

  std::vector<Piece> pieces_;
  const lzma_allocator allocator_{allocate, release, this};
};

class XzDecoder final : public SquashfsDecoder {
 public:
  ~XzDecoder() override { lzma_index_hash_end(index_, pool_.allocator()); }

  std::optional<std::size_t> decode(std::span<const std::uint8_t> in, std::span<std::uint8_t> out) override {
    lzma_stream_flags header;
    if (in.size() <= LZMA_STREAM_HEADER_SIZE || lzma_stream_header_decode(&header, in.data()) != LZMA_OK)
      return std::nullopt;
    std::size_t position = LZMA_STREAM_HEADER_SIZE;
    const std::optional<std::size_t> length = decode_block(header.check, in, position, out);
    if (!length || !verify_end(header, in.subspan(position))) return std::nullopt;
    return length;
  }

 private:
  // Decodes the block at `position`, and moves that to its end.
  std::optional<std::size_t> decode_block(lzma_check check, std::span<const std::uint8_t> in,
                                          std::size_t& position, std::span<std::uint8_t> out) {
    std::array<lzma_filter, LZMA_FILTERS_MAX + 1> filters;
    lzma_block block{};
    block.version = 1;
    block.check = check;
    block.filters = filters.data();
    block.header_size = lzma_block_header_size_decode(in[position]);
    if (in[position] == 0 || block.header_size > in.size() - position) return std::nullopt;
    if (lzma_block_header_decode(&block, pool_.allocator(), in.data() + position) != LZMA_OK)
      return std::nullopt;
    position += block.header_size;
    const bool own_check = check == LZMA_CHECK_CRC32;
    block.ignore_check = own_check;
    std::size_t length = 0;
    const bool decoded = lzma_raw_decoder_memusage(filters.data()) <= k_max_memory &&
                         lzma_block_buffer_decode(&block, pool_.allocator(), in.data(), &position, in.size(),
                                                  out.data(), &length, out.size()) == LZMA_OK;
    for (const lzma_filter& filter : filters) {
      if (filter.id == LZMA_VLI_UNKNOWN) break;
      if (filter.options != nullptr) pool_.allocator()->free(pool_.allocator()->opaque, filter.options);
    }
    if (!decoded || (own_check && !equals_crc32(block.raw_check, out.first(length)))) return std::nullopt;
    index_ = lzma_index_hash_init(index_, pool_.allocator());
    if (index_ == nullptr ||
        lzma_index_hash_append(index_, lzma_block_unpadded_size(&block), block.uncompressed_size) != LZMA_OK)
      return std::nullopt;
    return length;
  }

  static bool equals_crc32(const std::uint8_t* little_endian, std::span<const std::uint8_t> bytes) {
    const std::uint32_t sum = libdeflate_crc32(0, bytes.data(), bytes.size());
    for (unsigned i = 0; i < 4; ++i)
      if (little_endian[i] != ((sum >> (8 * i)) & 0xFF)) return false;
    return true;
  }

  // After the block: the index, which must speak of that block, and the footer, which must agree with the
  // header.
  bool verify_end(const lzma_stream_flags& header, std::span<const std::uint8_t> rest) {
    std::size_t used = 0;
    if (lzma_index_hash_decode(index_, rest.data(), &used, rest.size()) != LZMA_STREAM_END) return false;
    lzma_stream_flags footer;
    return rest.size() - used >= LZMA_STREAM_HEADER_SIZE &&
           lzma_stream_footer_decode(&footer, rest.data() + used) == LZMA_OK &&
           footer.backward_size == lzma_index_hash_size(index_) &&
           lzma_stream_flags_compare(&header, &footer) == LZMA_OK;
  }

  MemoryPool pool_;
  lzma_index_hash* index_ = nullptr;
};

}  // namespace

std::unique_ptr<SquashfsDecoder> make_xz_decoder() {
  return std::make_unique<XzDecoder>();
}

}  // namespace orch::image
