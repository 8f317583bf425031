#include "elf/facts.hpp"

#include "base/text.hpp"
#include "elf/notes.hpp"
#include "elf/paged_access.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace orch::elf {

namespace {

using image::ElfHeader;
using image::ElfSegment;
using image::load;
using image::RandomAccess;

// Bounds for what is read of one file.
constexpr std::uint64_t k_max_dynamic = 1U << 20;
constexpr std::uint64_t k_max_text = 16U << 20;  // all strings together
constexpr std::uint64_t k_max_notes = 64U << 10;
constexpr std::size_t k_max_versions = 65536;
constexpr std::size_t k_max_string = 4096;

// Dynamic tags.
constexpr std::uint64_t k_needed = 1;
constexpr std::uint64_t k_strtab = 5;
constexpr std::uint64_t k_strsz = 10;
constexpr std::uint64_t k_soname = 14;
constexpr std::uint64_t k_rpath = 15;
constexpr std::uint64_t k_runpath = 29;
constexpr std::uint64_t k_flags = 30;
constexpr std::uint64_t k_flags_1 = 0x6ffffffb;
constexpr std::uint64_t k_verdef = 0x6ffffffc;
constexpr std::uint64_t k_verdefnum = 0x6ffffffd;
constexpr std::uint64_t k_verneed = 0x6ffffffe;
constexpr std::uint64_t k_verneednum = 0x6fffffff;

class Reader {
 public:
  Reader(const RandomAccess& file, const ElfHeader& header, Facts& facts)
      : file_(file), header_(header), facts_(facts) {}

  Result<> run() {
    for (const ElfSegment& segment : header_.segments) {
      if (segment.type == image::k_pt_dynamic && !facts_.dynamic) {
        facts_.dynamic = true;
        ORCH_CHECK(read_dynamic(segment));
      }
      if (segment.type == image::k_pt_gnu_stack && (segment.flags & 1) != 0) facts_.executable_stack = true;
      if (segment.type == image::k_pt_gnu_property || segment.type == image::k_pt_note) {
        ORCH_TRY(const std::string notes, window(segment.offset, segment.file_size, k_max_notes));
        read_notes(notes, header_.is_64, header_.order, segment.type == image::k_pt_gnu_property, facts_);
      }
    }
    return {};
  }

 private:
  // As much of [offset, offset + size) as the file has.
  Result<std::string> window(std::uint64_t offset, std::uint64_t size, std::uint64_t limit) const {
    if (offset >= file_.size()) return std::string();
    return image::read_exact(file_, offset,
                             static_cast<std::size_t>(std::min({size, limit, file_.size() - offset})));
  }
  std::uint64_t word(const std::string& bytes, std::size_t at) const {
    return header_.is_64 ? load<std::uint64_t>(bytes.data() + at, header_.order)
                         : load<std::uint32_t>(bytes.data() + at, header_.order);
  }
  // Where an address of the running program lies in the file.
  std::optional<std::uint64_t> file_offset(std::uint64_t address) const {
    for (const ElfSegment& segment : header_.segments)
      if (segment.type == image::k_pt_load && address >= segment.address &&
          address - segment.address < segment.file_size)
        return segment.offset + (address - segment.address);
    return std::nullopt;
  }
  // A string of the string table; empty where it is none.
  Result<std::string> text(std::uint64_t at);
  Result<std::vector<std::string>> paths(std::uint64_t at);

  Result<> read_dynamic(const ElfSegment& segment);
  Result<bool> record(std::uint64_t at, std::span<std::uint8_t> out) const;
  std::uint16_t u16(std::span<const std::uint8_t> bytes, std::size_t at) const {
    return load<std::uint16_t>(bytes.data() + at, header_.order);
  }
  std::uint32_t u32(std::span<const std::uint8_t> bytes, std::size_t at) const {
    return load<std::uint32_t>(bytes.data() + at, header_.order);
  }
  Result<> read_needs(std::uint64_t address, std::uint64_t count);
  Result<> read_definitions(std::uint64_t address, std::uint64_t count);

  const RandomAccess& file_;
  const ElfHeader& header_;
  Facts& facts_;
  std::uint64_t strings_ = 0;  // where the string table lies in the file
  std::uint64_t strings_size_ = 0;
  std::uint64_t text_left_ = k_max_text;
};

Result<std::string> Reader::text(std::uint64_t at) {
  constexpr std::uint64_t k_step = 256;
  std::string out;
  while (at < strings_size_ && out.size() <= k_max_string) {
    ORCH_TRY(const std::string part, window(strings_ + at, k_step, strings_size_ - at));
    const std::size_t end = part.find('\0');
    out.append(part, 0, end);
    if (end == std::string::npos && !part.empty()) {
      at += part.size();
      continue;
    }
    if (end == std::string::npos || out.size() > k_max_string || out.size() > text_left_)
      return std::string();
    text_left_ -= out.size();
    return out;
  }
  return std::string();
}

Result<std::vector<std::string>> Reader::paths(std::uint64_t at) {
  std::vector<std::string> out;
  ORCH_TRY(const std::string joined, text(at));
  if (joined.empty()) return out;
  for (const std::string_view part : base::split(joined, ':')) out.emplace_back(part);
  return out;
}

Result<> Reader::read_dynamic(const ElfSegment& segment) {
  ORCH_TRY(const std::string table, window(segment.offset, segment.file_size, k_max_dynamic));
  const std::size_t width = header_.is_64 ? 8 : 4;
  struct Item {
    std::uint64_t tag;
    std::uint64_t value;
  };
  std::vector<Item> items;
  for (std::size_t at = 0; at + 2 * width <= table.size(); at += 2 * width) {
    items.push_back({word(table, at), word(table, at + width)});
    if (items.back().tag == 0) break;
  }
  const auto value = [&](std::uint64_t tag) -> std::optional<std::uint64_t> {
    for (const Item& item : items)
      if (item.tag == tag) return item.value;
    return std::nullopt;
  };
  facts_.flags = value(k_flags).value_or(0);
  facts_.flags_1 = value(k_flags_1).value_or(0);
  const auto strings = file_offset(value(k_strtab).value_or(0));
  if (!strings) return {};
  strings_ = *strings;
  strings_size_ = value(k_strsz).value_or(0);
  for (const Item& item : items) {
    if (item.tag == k_needed) {
      ORCH_TRY(std::string name, text(item.value));
      if (!name.empty()) facts_.needed.push_back(std::move(name));
    }
    if (item.tag == k_soname) {
      ORCH_TRY(facts_.soname, text(item.value));
    }
    if (item.tag == k_rpath) {
      ORCH_TRY(facts_.rpath, paths(item.value));
    }
    if (item.tag == k_runpath) {
      facts_.has_runpath = true;
      ORCH_TRY(facts_.runpath, paths(item.value));
    }
  }
  if (const auto address = value(k_verneed))
    ORCH_CHECK(read_needs(*address, value(k_verneednum).value_or(0)));
  if (const auto address = value(k_verdef))
    ORCH_CHECK(read_definitions(*address, value(k_verdefnum).value_or(0)));
  return {};
}

// A record of a table at an address; false where the file has no such bytes.
Result<bool> Reader::record(std::uint64_t at, std::span<std::uint8_t> out) const {
  if (at > file_.size() || out.size() > file_.size() - at) return false;
  ORCH_CHECK(image::read_full(file_, at, out));
  return true;
}

// Verneed and Vernaux records of 16 bytes each, chained by relative offsets.
Result<> Reader::read_needs(std::uint64_t address, std::uint64_t count) {
  auto at = file_offset(address);
  std::array<std::uint8_t, 16> need{};
  std::array<std::uint8_t, 16> version{};
  for (std::uint64_t i = 0; at && i < std::min<std::uint64_t>(count, k_max_versions); ++i) {
    ORCH_TRY(const bool there, record(*at, need));
    if (!there) return {};
    ORCH_TRY(const std::string library, text(u32(need, 4)));
    std::uint64_t below = *at + u32(need, 8);
    for (unsigned k = u16(need, 2); k != 0; --k) {
      ORCH_TRY(const bool more, record(below, version));
      if (!more || facts_.versions.size() >= k_max_versions) return {};
      ORCH_TRY(std::string name, text(u32(version, 8)));
      facts_.versions.push_back({library, std::move(name), (u16(version, 4) & 2) != 0});
      if (u32(version, 12) == 0) break;
      below += u32(version, 12);
    }
    if (u32(need, 12) == 0) break;
    *at += u32(need, 12);
  }
  return {};
}

// Verdef records of 20 bytes; the first Verdaux of each has its name. The record with flag 1 names the file.
Result<> Reader::read_definitions(std::uint64_t address, std::uint64_t count) {
  facts_.versioned = true;
  auto at = file_offset(address);
  std::array<std::uint8_t, 20> definition{};
  std::array<std::uint8_t, 8> name{};
  for (std::uint64_t i = 0; at && i < std::min<std::uint64_t>(count, k_max_versions); ++i) {
    ORCH_TRY(const bool there, record(*at, definition));
    if (!there) return {};
    ORCH_TRY(const bool named, record(*at + u32(definition, 12), name));
    if (named && (u16(definition, 2) & 1) == 0) {
      ORCH_TRY(std::string version, text(u32(name, 0)));
      if (!version.empty()) facts_.definitions.push_back(std::move(version));
    }
    if (u32(definition, 16) == 0) break;
    *at += u32(definition, 16);
  }
  return {};
}

// The checks that glibc makes of a library's header, in its order and its words. The later ones come after
// the check of the machine, so that files of other machines are passed over before.
Result<std::string> find_defect(const RandomAccess& file, const ElfHeader& header) {
  const std::size_t size = header.is_64 ? 64 : 52;
  ORCH_TRY(const std::string head, image::read_exact(file, 0, size));
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(head[at]); };
  if (!header.is_64) return std::string();
  if (header.order != image::ByteOrder::little)
    return std::string("ELF file data encoding not little-endian");
  if (byte(6) != 1) return std::string("ELF file version ident does not match current one");
  if (byte(7) != 0 && byte(7) != 3) return std::string("ELF file OS ABI invalid");
  // With the ABI of System V the version must be 0; that of GNU/Linux knows a few.
  if (byte(8) != 0 && (byte(7) == 0 || byte(8) > 3)) return std::string("ELF file ABI version invalid");
  for (std::size_t i = 9; i < 16; ++i)
    if (byte(i) != 0) return std::string("nonzero padding in e_ident");
  if (image::load_u32(head.data() + 20) != 1)
    return std::string("ELF file version does not match current one");
  if (header.machine != k_machine_x86_64) return std::string();
  if (header.type != k_type_shared && header.type != k_type_executable)
    return std::string("only ET_DYN and ET_EXEC can be loaded");
  if (image::load_u16(head.data() + 0x36) != 56)
    return std::string("ELF file's phentsize not the expected size");
  bool loads = false;
  bool dynamic = false;
  for (const ElfSegment& segment : header.segments) {
    loads |= segment.type == image::k_pt_load;
    dynamic |= segment.type == image::k_pt_dynamic;
  }
  if (!loads) return std::string("object file has no loadable segments");
  if (!dynamic && header.type == k_type_shared) return std::string("object file has no dynamic section");
  return std::string();
}

}  // namespace

Result<std::optional<Facts>> read_facts(const RandomAccess& whole) {
  const PagedAccess file(whole);
  ORCH_TRY(const std::optional<ElfHeader> header, image::read_elf_header(file));
  if (!header) return std::optional<Facts>();
  Facts facts;
  facts.is_64 = header->is_64;
  facts.machine = header->machine;
  facts.type = header->type;
  ORCH_TRY(facts.interpreter, image::read_elf_interpreter(file, *header));
  ORCH_TRY(facts.defect, find_defect(file, *header));
  ORCH_CHECK(Reader(file, *header, facts).run());
  constexpr std::string_view k_prefix = "GLIBC_";
  for (const VersionNeed& need : facts.versions) {
    const std::string_view version = need.version;
    if (!version.starts_with(k_prefix) || version.size() == k_prefix.size()) continue;
    const std::string_view text = version.substr(k_prefix.size());
    if (text.front() < '0' || text.front() > '9') continue;  // GLIBC_PRIVATE, GLIBC_ABI_DT_RELR
    if (facts.glibc.empty() || compare_versions(facts.glibc, text) < 0) facts.glibc = std::string(text);
  }
  return std::optional<Facts>(std::move(facts));
}

int compare_versions(std::string_view a, std::string_view b) {
  const std::vector<std::string_view> left = base::split(a, '.');
  const std::vector<std::string_view> right = base::split(b, '.');
  for (std::size_t i = 0; i < std::max(left.size(), right.size()); ++i) {
    const auto part = [i](const std::vector<std::string_view>& parts) {
      unsigned long long number = 0;
      if (i < parts.size()) std::from_chars(parts[i].data(), parts[i].data() + parts[i].size(), number);
      return number;
    };
    if (part(left) != part(right)) return part(left) < part(right) ? -1 : 1;
  }
  return 0;
}

Result<std::optional<std::string>> read_section_text(const RandomAccess& file, std::string_view name,
                                                     std::size_t limit) {
  ORCH_TRY(const std::optional<ElfHeader> header, image::read_elf_header(file));
  if (!header) return std::optional<std::string>();
  ORCH_TRY(const std::optional<image::ElfSection> section, image::find_elf_section(file, *header, name));
  if (!section || section->offset > file.size()) return std::optional<std::string>();
  const std::uint64_t size = std::min<std::uint64_t>({section->size, limit, file.size() - section->offset});
  ORCH_TRY(std::string text, image::read_exact(file, section->offset, static_cast<std::size_t>(size)));
  text.resize(std::min(text.find('\0'), text.size()));
  return std::optional<std::string>(std::move(text));
}

}  // namespace orch::elf
