// What the resolver knows of an ELF file: the part of its facts that a loader looks at, names as numbers.
#pragma once

#include "elf/arena.hpp"
#include "elf/facts.hpp"
#include "elf/names.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace orch::elf {

// Lives as long as the Objects that it is one of. One thread at a time.
struct Object {
  // The versions that it asks of one library.
  struct Versions {
    std::uint32_t library = k_no_name;
    std::uint32_t first = k_no_name;         // the first of them, weak or not
    std::span<const std::uint32_t> needs{};  // those that are not weak
    // The answer for the provider that was looked at last: versions that it lacks.
    mutable const Object* checked = nullptr;
    mutable std::span<const std::uint32_t> lacking{};
  };

  std::uint32_t number = 0;  // of all Objects, from 0
  bool is_64 = true;
  bool dynamic = false;
  bool versioned = false;  // has a table of definitions
  bool has_runpath = false;
  bool any_dollar = false;  // in what it needs: to be expanded
  std::uint16_t machine = 0;
  std::uint16_t type = 0;
  unsigned isa_needed = 0;
  std::uint64_t flags_1 = 0;
  std::uint32_t soname = k_no_name;
  std::string_view interpreter{};
  std::string_view defect{};
  std::span<const std::uint32_t> needed{};       // DT_NEEDED as it stands
  std::span<const std::string_view> search{};    // DT_RUNPATH where it has one, else DT_RPATH
  std::span<const Versions> versions{};          // by library, in the order of the table
  std::span<const std::uint32_t> definitions{};  // ascending
};

// Objects with what they refer to, freed together.
class Objects {
 public:
  Objects() = default;
  Objects(const Objects&) = delete;
  Objects& operator=(const Objects&) = delete;

  // A version that is asked for.
  struct Need {
    std::uint32_t library;
    std::uint32_t version;
    bool weak;
  };
  // The lists of an object, in the order of the file; texts live as long as this object.
  struct Lists {
    std::span<const std::uint32_t> needed;
    std::span<const std::string_view> search;
    std::span<const Need> versions;
    std::span<const std::uint32_t> definitions;
  };
  // `object` with its number and lists filled in.
  const Object* add(Object object, const Lists& lists);
  // Of facts that live as long as this object.
  const Object* add(const Facts& facts);

  Names& names() { return names_; }
  Arena& arena() { return arena_; }
  // The wanted versions that `provider` does not define.
  std::span<const std::uint32_t> lacking(const Object::Versions& wanted, const Object& provider) {
    return wanted.checked == &provider ? wanted.lacking : find_lacking(wanted, provider);
  }

 private:
  std::span<const Object::Versions> by_library(std::span<const Need> needs);
  std::span<const std::uint32_t> find_lacking(const Object::Versions& wanted, const Object& provider);

  Arena arena_;
  Names names_{arena_};
  std::uint32_t count_ = 0;
  // While versions are put in order: the libraries, and each version with the number of its library.
  std::vector<Object::Versions> groups_;
  std::vector<std::pair<std::size_t, std::uint32_t>> strong_;
  std::vector<std::uint32_t> versions_;
};

}  // namespace orch::elf
