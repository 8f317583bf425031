// What an ELF file needs and provides, read from its program headers: nothing depends on section headers,
// which may be stripped. Sources: System V gABI chapter 5 (dynamic linking), LSB "Symbol Versioning", x86-64
// psABI (properties).
#pragma once

#include "base/result.hpp"
#include "image/elf_header.hpp"
#include "image/random_access.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace orch::elf {

using base::Result;

// A version of a library that must be there: "GLIBC_2.34" of "libc.so.6".
struct VersionNeed {
  std::string library;
  std::string version;
  bool weak = false;
  friend bool operator==(const VersionNeed&, const VersionNeed&) = default;
};

struct Facts {
  bool is_64 = true;
  std::uint16_t machine = 0;
  std::uint16_t type = 0;   // 1 relocatable, 2 executable, 3 shared or position independent
  bool dynamic = false;     // has PT_DYNAMIC
  std::string interpreter;  // PT_INTERP
  std::string soname;
  std::vector<std::string> needed;  // DT_NEEDED, in order
  std::vector<std::string> rpath;   // DT_RPATH split at ':'
  std::vector<std::string> runpath;
  std::vector<VersionNeed> versions;
  // The highest GLIBC_x.y among `versions` ("2.34"); empty if none is required.
  std::string glibc;
  // x86-64 microarchitecture level that the file says it needs: 1 to 4, 0 where it says nothing.
  unsigned isa_needed = 0;
  unsigned isa_used = 0;
};

// nullopt: no ELF file. Corrupt tables give fewer facts, not errors; errors are those of reading.
Result<std::optional<Facts>> read_facts(const image::RandomAccess& file);

// Compares "2.9" and "2.34" as versions: negative, zero or positive.
int compare_versions(std::string_view a, std::string_view b);

// The text of a section such as ".upd_info", up to its first NUL; nullopt where there is no such section.
Result<std::optional<std::string>> read_section_text(const image::RandomAccess& file, std::string_view name,
                                                     std::size_t limit);

}  // namespace orch::elf
