// Data of files in a SquashFS payload: blocks by number, and the fragment blocks that hold the files' tails.
#pragma once

#include "base/result.hpp"
#include "image/squashfs_codec.hpp"
#include "image/squashfs_meta.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

namespace orch::image {

using Bytes = std::vector<std::uint8_t>;

// Reads and decodes data blocks. One per thread. It reads ahead what the caller said will be wanted.
class SquashfsBlocks {
 public:
  static Result<SquashfsBlocks> create(const SquashfsSuper& super, const RandomAccess& payload);

  // Blocks of [start, start + size) will be asked for next: read with one call where that is not too much.
  void expect(std::uint64_t start, std::uint64_t size) {
    expected_start_ = start;
    expected_size_ = size;
  }
  // Decodes the block at `start` with that size word (bit 24: stored; not 0) into `out`; its length.
  Result<std::size_t> read(std::uint64_t start, std::uint32_t size_word, std::span<std::uint8_t> out);

 private:
  SquashfsBlocks(SquashfsCodec codec, const RandomAccess& payload, std::uint64_t limit)
      : codec_(std::move(codec)), payload_(&payload), limit_(limit) {}
  Result<std::span<const std::uint8_t>> raw(std::uint64_t start, std::size_t size);

  SquashfsCodec codec_;
  const RandomAccess* payload_;
  std::uint64_t limit_;
  std::uint64_t expected_start_ = 0;
  std::uint64_t expected_size_ = 0;
  Bytes buffer_;
  std::uint64_t buffer_start_ = 0;
  std::size_t buffer_size_ = 0;
};

// Decoded fragment blocks, shared between threads: each is decoded by the first who wants it, once while it
// is kept.
class FragmentCache {
 public:
  explicit FragmentCache(std::uint32_t block_size) : block_size_(block_size) {}
  // `where` is what the fragment table says of `index`.
  Result<std::shared_ptr<const Bytes>> get(std::uint32_t index, const SquashfsFragment& where,
                                           SquashfsBlocks& blocks);

 private:
  struct Slot {
    std::mutex guard;
    std::shared_ptr<const Bytes> bytes;
  };
  std::uint32_t block_size_;
  std::mutex guard_;
  std::map<std::uint32_t, std::shared_ptr<Slot>> slots_;
  std::deque<std::uint32_t> order_;
};

}  // namespace orch::image
