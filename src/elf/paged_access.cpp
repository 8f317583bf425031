#include "elf/paged_access.hpp"

#include <algorithm>
#include <cstring>

namespace orch::elf {

using base::Result;

namespace {

constexpr std::size_t k_block = 4096;
constexpr std::size_t k_max_blocks = 64;

}  // namespace

Result<const PagedAccess::Block*> PagedAccess::block(std::uint64_t index) const {
  for (const Block& known : blocks_)
    if (known.index == index) return &known;
  if (blocks_.size() == k_max_blocks) blocks_.clear();
  Block fresh{index, std::string(k_block, '\0')};
  ORCH_TRY(const std::size_t got,
           whole_.read_at(index * k_block,
                          {reinterpret_cast<std::uint8_t*>(fresh.bytes.data()), fresh.bytes.size()}));
  fresh.bytes.resize(got);
  blocks_.push_back(std::move(fresh));
  return &blocks_.back();
}

Result<std::size_t> PagedAccess::read_at(std::uint64_t offset, std::span<std::uint8_t> out) const {
  if (out.size() >= 4 * k_block) return whole_.read_at(offset, out);
  std::size_t used = 0;
  while (used < out.size() && offset + used < size_) {
    ORCH_TRY(const Block* from, block((offset + used) / k_block));
    const auto start = static_cast<std::size_t>((offset + used) % k_block);
    if (start >= from->bytes.size()) break;
    const std::size_t part = std::min(out.size() - used, from->bytes.size() - start);
    std::memcpy(out.data() + used, from->bytes.data() + start, part);
    used += part;
  }
  return used;
}

}  // namespace orch::elf
