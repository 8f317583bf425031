// Names as numbers, and a map from such numbers: the resolver compares and looks up names without their texts.
#pragma once

#include "elf/arena.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace orch::elf {

inline constexpr std::uint32_t k_no_name = 0xffffffff;

// Counted from 0 in the order in which they come.
class Names {
 public:
  // `arena` must outlive it.
  explicit Names(Arena& arena) : arena_(arena), slots_(1024, arena.memory()), texts_(arena.memory()) {}
  // `text` must live as long as this object.
  std::uint32_t number(std::string_view text);
  // Keeps a copy of a text that is new.
  std::uint32_t keep(std::string_view text);
  std::string_view text(std::uint32_t number) const { return texts_[number].text; }
  bool has_slash(std::uint32_t number) const { return texts_[number].slash; }
  bool has_dollar(std::uint32_t number) const { return texts_[number].dollar; }

 private:
  struct Text {
    std::string_view text;
    bool slash;   // a path
    bool dollar;  // may depend on where the object lies that asks
  };
  // Open addressing: a name is compared only where 32 bits of its hash are the same.
  struct Slot {
    std::uint32_t hash = 0;
    std::uint32_t number = k_no_name;
  };

  Slot& slot_of(std::string_view text);
  std::uint32_t add(Slot& slot, std::string_view text);
  void grow();

  Arena& arena_;
  std::pmr::vector<Slot> slots_;  // a power of 2
  std::pmr::vector<Text> texts_;
};

// Values by number, in a hash table with open addressing: for what is asked many times.
template <class T>
class NumberMap {
 public:
  // The value of the number, made by T() where it is new. The reference holds until the next call.
  T& operator[](std::uint32_t number) {
    if (2 * (used_ + 1) > places_.size()) grow();
    Place& place = places_[find(number)];
    if (place.number == k_no_name) {
      place.number = number;
      ++used_;
    }
    return place.value;
  }

 private:
  struct Place {
    std::uint32_t number = k_no_name;
    T value{};
  };

  std::size_t find(std::uint32_t number) const {
    const std::size_t mask = places_.size() - 1;
    std::size_t at = (number * 0x9e3779b97f4a7c15U >> 32) & mask;
    while (places_[at].number != number && places_[at].number != k_no_name) at = (at + 1) & mask;
    return at;
  }
  void grow() {
    std::vector<Place> old(places_.empty() ? 16 : 2 * places_.size());
    old.swap(places_);
    for (Place& place : old)
      if (place.number != k_no_name) places_[find(place.number)] = std::move(place);
  }

  std::vector<Place> places_;
  std::size_t used_ = 0;
};

}  // namespace orch::elf
