// Small reads out of few big ones: the tables of an ELF file are many and lie close together, and a read out
// of a compressed image costs a block anyway.
#pragma once

#include "image/random_access.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace orch::elf {

// Keeps the blocks that were read; for one file, one thread and a short life. `whole` must outlive it.
class PagedAccess final : public image::RandomAccess {
 public:
  explicit PagedAccess(const image::RandomAccess& whole) : whole_(whole), size_(whole.size()) {}
  std::uint64_t size() const override { return size_; }
  base::Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) const override;

 private:
  struct Block {
    std::uint64_t index;
    std::string bytes;
  };
  base::Result<const Block*> block(std::uint64_t index) const;

  const image::RandomAccess& whole_;
  std::uint64_t size_;
  mutable std::vector<Block> blocks_;
};

}  // namespace orch::elf
