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

inline constexpr std::uint16_t k_machine_x86_64 = 62;
// e_type
inline constexpr std::uint16_t k_type_relocatable = 1;
inline constexpr std::uint16_t k_type_executable = 2;
inline constexpr std::uint16_t k_type_shared = 3;  // also position-independent programs
// DT_FLAGS_1
inline constexpr std::uint64_t k_flag1_nodeflib = 0x800;  // default directories are not searched
inline constexpr std::uint64_t k_flag1_pie = 0x08000000;  // a program, not a library
// DT_FLAGS
inline constexpr std::uint64_t k_flag_origin = 1;

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
  // DT_RPATH and DT_RUNPATH split at ':'. An empty element stands for the working directory.
  std::vector<std::string> rpath;
  std::vector<std::string> runpath;
  bool has_runpath = false;  // also where it is empty: DT_RPATH is then ignored
  std::vector<VersionNeed> versions;
  // The names in DT_VERDEF but the one of the file itself, in order. `versioned`: there is such a table.
  std::vector<std::string> definitions;
  bool versioned = false;
  // The highest GLIBC_x.y among `versions` ("2.34"); empty if none is required.
  std::string glibc;
  // x86-64 microarchitecture level that the file says it needs: 1 to 4 (to 32 for levels to come), 0 where it
  // says nothing.
  unsigned isa_needed = 0;
  unsigned isa_used = 0;
  bool ibt = false;               // CET: indirect branch tracking
  bool shstk = false;             // CET: shadow stack
  std::string build_id;           // hexadecimal
  std::uint64_t flags = 0;        // DT_FLAGS
  std::uint64_t flags_1 = 0;      // DT_FLAGS_1
  bool executable_stack = false;  // PT_GNU_STACK with execute permission
  // Why glibc's loader stops with an error when it meets this file as a library, in its words; empty where
  // it does not. What makes it go on searching (another class or machine) is not said here.
  std::string defect;
  friend bool operator==(const Facts&, const Facts&) = default;
};

// nullopt: no ELF file. Corrupt tables give fewer facts, not errors; errors are those of reading. Reads a few
// blocks of 4 KiB, wherever the tables lie.
Result<std::optional<Facts>> read_facts(const image::RandomAccess& file);

// Names that stand as whole strings in the read-only segments and look like sonames ("libfoo.so.1"): what the
// file may load by dlopen. Sorted, once each, without `facts.needed` and `facts.soname`. Reads the segments
// (at most 64 MiB) and gives at most 1024 names.
Result<std::vector<std::string>> read_dlopen_hints(const image::RandomAccess& file, const Facts& facts);

// Compares "2.9" and "2.34" as versions: negative, zero or positive.
int compare_versions(std::string_view a, std::string_view b);

// The text of a section such as ".upd_info", up to its first NUL; nullopt where there is no such section.
Result<std::optional<std::string>> read_section_text(const image::RandomAccess& file, std::string_view name,
                                                     std::size_t limit);

}  // namespace orch::elf
