#include "elf/names.hpp"

#include <functional>

namespace orch::elf {

namespace {

std::uint32_t hash_of(std::string_view text) {
  const std::uint64_t hash = std::hash<std::string_view>()(text);
  return static_cast<std::uint32_t>(hash ^ hash >> 32);
}

}  // namespace

// The slot of the text, or the free one where it belongs.
Names::Slot& Names::slot_of(std::string_view text) {
  const std::uint32_t hash = hash_of(text);
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
    Slot& slot = slots_[at];
    if (slot.number == k_no_name) {
      slot.hash = hash;
      return slot;
    }
    if (slot.hash == hash && texts_[slot.number].text == text) return slot;
  }
}

std::uint32_t Names::add(Slot& slot, std::string_view text) {
  const std::uint32_t number = slot.number = static_cast<std::uint32_t>(texts_.size());
  texts_.push_back(
      {text, text.find('/') != std::string_view::npos, text.find('$') != std::string_view::npos});
  if (2 * texts_.size() > slots_.size()) grow();
  return number;
}

void Names::grow() {
  std::pmr::vector<Slot> old(4 * slots_.size(), arena_.memory());
  old.swap(slots_);
  const std::size_t mask = slots_.size() - 1;
  for (const Slot& slot : old) {
    if (slot.number == k_no_name) continue;
    std::size_t at = slot.hash & mask;
    while (slots_[at].number != k_no_name) at = (at + 1) & mask;
    slots_[at] = slot;
  }
}

std::uint32_t Names::number(std::string_view text) {
  Slot& slot = slot_of(text);
  return slot.number != k_no_name ? slot.number : add(slot, text);
}

std::uint32_t Names::keep(std::string_view text) {
  Slot& slot = slot_of(text);
  return slot.number != k_no_name ? slot.number : add(slot, arena_.text(text));
}

}  // namespace orch::elf
