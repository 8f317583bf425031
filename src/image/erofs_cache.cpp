#include "image/erofs_cache.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace orch::image {

Result<std::size_t> PageCache::read_at(std::uint64_t offset, std::span<std::uint8_t> out) const {
  std::size_t done = 0;
  while (done < out.size() && offset < data_.size()) {
    const std::uint64_t page = offset / k_page;
    const auto from = static_cast<std::size_t>(offset % k_page);
    Slot& slot = slots_[static_cast<std::size_t>(page % slots_.size())];
    const std::lock_guard lock(slot.guard);
    if (slot.page != page) {
      slot.page = ~std::uint64_t{0};
      slot.bytes.resize(k_page);
      ORCH_TRY(const std::size_t got, data_.read_at(page * k_page, slot.bytes));
      slot.bytes.resize(got);
      slot.page = page;
    }
    if (from >= slot.bytes.size()) break;
    const std::size_t count = std::min(out.size() - done, slot.bytes.size() - from);
    std::memcpy(out.data() + done, slot.bytes.data() + from, count);
    done += count;
    offset += count;
  }
  return done;
}

ExtentCache::Bytes ExtentCache::find(const Key& key) {
  const std::lock_guard lock(guard_);
  const auto at = places_.find(key);
  if (at == places_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, at->second);
  return at->second->bytes;
}

void ExtentCache::keep(const Key& key, Bytes bytes) {
  if (bytes->size() > most_) return;
  const std::lock_guard lock(guard_);
  if (const auto at = places_.find(key); at != places_.end()) {
    // Another thread may have decoded more of it meanwhile.
    if (at->second->bytes->size() >= bytes->size()) return;
    used_ -= at->second->bytes->size();
    entries_.erase(at->second);
    places_.erase(at);
  }
  used_ += bytes->size();
  entries_.push_front({key, std::move(bytes)});
  places_[key] = entries_.begin();
  while (used_ > most_) {
    used_ -= entries_.back().bytes->size();
    places_.erase(entries_.back().key);
    entries_.pop_back();
  }
}

}  // namespace orch::image
