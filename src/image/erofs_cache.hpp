// What an EROFS tree keeps in memory: pages of the image's metadata, and extents that were decoded. Both may
// be used by several threads at once, and both are bounded.
#pragma once

#include "image/random_access.hpp"

#include <array>
#include <compare>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace orch::image {

// Other data, read in pages of which some are kept.
class PageCache final : public RandomAccess {
 public:
  explicit PageCache(const RandomAccess& data) : data_(data) {}
  std::uint64_t size() const override { return data_.size(); }
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) const override;

 private:
  static constexpr std::size_t k_page = 8U << 10;
  struct Slot {
    std::mutex guard;
    std::uint64_t page = ~std::uint64_t{0};
    std::vector<std::uint8_t> bytes;
  };
  const RandomAccess& data_;
  mutable std::array<Slot, 256> slots_;
};

// Beginnings of decoded extents, as far as somebody wanted them. The least used are dropped.
class ExtentCache {
 public:
  // What makes two extents the same bytes.
  struct Key {
    std::uint64_t address = 0;
    std::uint64_t length = 0;
    std::uint32_t encoded = 0;
    std::uint32_t kind = 0;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  using Bytes = std::shared_ptr<const std::vector<std::uint8_t>>;

  explicit ExtentCache(std::size_t most_bytes) : most_(most_bytes) {}
  Bytes find(const Key& key);  // null: not there
  void keep(const Key& key, Bytes bytes);

 private:
  struct Entry {
    Key key;
    Bytes bytes;
  };
  const std::size_t most_;
  std::mutex guard_;
  std::list<Entry> entries_;  // the last used first
  std::map<Key, std::list<Entry>::iterator> places_;
  std::size_t used_ = 0;
};

}  // namespace orch::image
