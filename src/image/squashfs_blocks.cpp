#include "image/squashfs_blocks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace orch::image {

using base::ErrorKind;
using base::fail;

namespace {

constexpr std::size_t k_read_ahead = 1U << 20;
constexpr std::size_t k_kept_bytes = 32U << 20;

}  // namespace

Result<SquashfsBlocks> SquashfsBlocks::create(const SquashfsSuper& super, const RandomAccess& payload) {
  ORCH_TRY(SquashfsCodec codec, SquashfsCodec::create(super.compressor, super.block_size));
  return SquashfsBlocks(std::move(codec), payload, super.bytes_used);
}

Result<std::span<const std::uint8_t>> SquashfsBlocks::raw(std::uint64_t start, std::size_t size) {
  if (start > limit_ || size > limit_ - start)
    return fail(ErrorKind::corrupt, fmt::format("a data block at {} lies outside of the file system", start),
                "download or copy the file again");
  const bool buffered = start >= buffer_start_ && start + size <= buffer_start_ + buffer_size_;
  if (!buffered) {
    std::uint64_t count = size;
    if (start >= expected_start_ && start - expected_start_ < expected_size_)
      count = std::max<std::uint64_t>(size, expected_start_ + expected_size_ - start);
    count = std::min({count, std::max<std::uint64_t>(k_read_ahead, size), limit_ - start});
    if (buffer_.size() < count) buffer_.resize(static_cast<std::size_t>(count));
    buffer_size_ = 0;
    ORCH_CHECK(read_full(*payload_, start, std::span(buffer_).first(static_cast<std::size_t>(count))));
    buffer_start_ = start;
    buffer_size_ = static_cast<std::size_t>(count);
  }
  return std::span<const std::uint8_t>(buffer_).subspan(static_cast<std::size_t>(start - buffer_start_),
                                                        size);
}

Result<std::size_t> SquashfsBlocks::read(std::uint64_t start, std::uint32_t size_word,
                                         std::span<std::uint8_t> out) {
  const std::size_t size = size_word & (k_squashfs_stored - 1);
  ORCH_TRY(const std::span<const std::uint8_t> bytes, raw(start, size));
  if ((size_word & k_squashfs_stored) == 0) return codec_.decode(bytes, out);
  if (size > out.size())
    return fail(ErrorKind::corrupt,
                fmt::format("a stored block has {} bytes, expected at most {}", size, out.size()));
  std::memcpy(out.data(), bytes.data(), size);
  return size;
}

Result<std::shared_ptr<const Bytes>> FragmentCache::get(std::uint32_t index, const SquashfsFragment& where,
                                                        SquashfsBlocks& blocks) {
  std::shared_ptr<Slot> slot;
  {
    const std::lock_guard lock(guard_);
    std::shared_ptr<Slot>& entry = slots_[index];
    if (!entry) {
      entry = std::make_shared<Slot>();
      order_.push_back(index);
      const std::size_t most = std::max<std::size_t>(8, k_kept_bytes / block_size_);
      if (order_.size() > most) {
        slots_.erase(order_.front());
        order_.pop_front();
      }
    }
    slot = slots_[index];
  }
  const std::lock_guard lock(slot->guard);
  if (!slot->bytes) {
    auto bytes = std::make_shared<Bytes>(block_size_);
    ORCH_TRY(const std::size_t length, blocks.read(where.start, where.size, *bytes));
    bytes->resize(length);
    slot->bytes = std::move(bytes);
  }
  return slot->bytes;
}

}  // namespace orch::image
