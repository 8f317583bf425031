// The outer structure of an ELF file: header, program headers, sections. What is in them is src/elf's
// business. Format: System V gABI, chapters 4 and 5. Everything is untrusted: counts and offsets are checked,
// tables are bounded.
#pragma once

#include "base/result.hpp"
#include "image/bytes.hpp"
#include "image/random_access.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch::image {

struct ElfSegment {
  std::uint32_t type = 0;   // p_type
  std::uint32_t flags = 0;  // p_flags: 1 execute, 2 write, 4 read
  std::uint64_t offset = 0;
  std::uint64_t address = 0;
  std::uint64_t file_size = 0;
};

struct ElfSection {
  std::uint32_t name = 0;  // offset into the section name table
  std::uint32_t type = 0;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

struct ElfHeader {
  bool is_64 = true;
  ByteOrder order = ByteOrder::little;
  std::uint16_t type = 0;     // e_type
  std::uint16_t machine = 0;  // e_machine
  std::uint64_t section_table = 0;
  std::uint16_t section_size = 0;
  std::uint16_t section_count = 0;
  std::uint16_t section_names = 0;
  std::vector<ElfSegment> segments;  // empty where the table lies outside of the file
};

inline constexpr std::uint32_t k_pt_load = 1;
inline constexpr std::uint32_t k_pt_dynamic = 2;
inline constexpr std::uint32_t k_pt_interp = 3;
inline constexpr std::uint32_t k_pt_note = 4;
inline constexpr std::uint32_t k_pt_gnu_stack = 0x6474e551;
inline constexpr std::uint32_t k_pt_gnu_property = 0x6474e553;

bool has_elf_magic(std::string_view prefix);

// nullopt: no ELF file (no magic, or a header too short or of unknown class or byte order).
Result<std::optional<ElfHeader>> read_elf_header(const RandomAccess& data);
// At most 65535 of them; an empty list where the table is absent or outside of the data.
Result<std::vector<ElfSection>> read_elf_sections(const RandomAccess& data, const ElfHeader& header);
// The section's place, or nullopt. Sections without bytes in the file (SHT_NOBITS) are not found.
Result<std::optional<ElfSection>> find_elf_section(const RandomAccess& data, const ElfHeader& header,
                                                   std::string_view name);
// The text of PT_INTERP without its NUL; empty if there is none.
Result<std::string> read_elf_interpreter(const RandomAccess& data, const ElfHeader& header);

// Where the ELF file proper ends: the maximum over header, program header table, segments, section header
// table and sections. nullopt where that does not lie within the data (the headers lie, or the file was cut).
Result<std::optional<std::uint64_t>> elf_end(const RandomAccess& data, const ElfHeader& header);

// "x86_64", "aarch64", "i386", "arm", …; "machine N" for those without a name here.
std::string machine_name(std::uint16_t machine, bool is_64);

}  // namespace orch::image
