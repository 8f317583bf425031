// Taking GNU property notes (ISA level, CET) out of sight of a loader without moving a byte of the file. Sources:
// x86-64 psABI ("program property"), glibc's elf/rtld.c and sysdeps/x86/dl-prop.h: the segment PT_GNU_PROPERTY is
// read where there is one, otherwise the notes of PT_NOTE.
#pragma once

#include "base/result.hpp"
#include "image/random_access.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace orch::elf {

using base::Result;

struct Patch {
  std::uint64_t offset = 0;
  std::string bytes;      // in place of as many
  std::string_view what;  // "program header", "note"
  friend bool operator==(const Patch&, const Patch&) = default;
};

// What to overwrite: the type of each PT_GNU_PROPERTY by PT_NULL, and of each property note by 0, which GNU notes
// do not use. Empty for files that are no ELF or have none. Tables that lead out of the file are left alone. A file
// with the patches applied gives none.
Result<std::vector<Patch>> hide_property_notes(const image::RandomAccess& file);

}  // namespace orch::elf
