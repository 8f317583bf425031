#include "image/elf_header.hpp"

#include "sys/file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

namespace orch::image {

namespace {

constexpr std::uint32_t k_sht_nobits = 8;
constexpr std::size_t k_max_name = 256;
constexpr std::size_t k_max_interpreter = 4096;

struct Reader {
  const std::string& bytes;
  ByteOrder order;
  std::uint16_t u16(std::size_t at) const { return load<std::uint16_t>(bytes.data() + at, order); }
  std::uint32_t u32(std::size_t at) const { return load<std::uint32_t>(bytes.data() + at, order); }
  std::uint64_t u64(std::size_t at) const { return load<std::uint64_t>(bytes.data() + at, order); }
};

// A table of `count` records of `size` bytes; empty where any of it lies outside of the data.
Result<std::string> read_table(const RandomAccess& data, std::uint64_t offset, std::size_t size,
                               std::size_t count) {
  const std::uint64_t total = std::uint64_t{size} * count;  // both are 16 bits wide: no overflow
  if (offset == 0 || total == 0 || offset > data.size() || total > data.size() - offset) return std::string();
  return read_exact(data, offset, static_cast<std::size_t>(total));
}

std::optional<std::uint64_t> sum(std::uint64_t a, std::uint64_t b) {
  if (b > std::numeric_limits<std::uint64_t>::max() - a) return std::nullopt;
  return a + b;
}

}  // namespace

bool has_elf_magic(std::string_view prefix) {
  return prefix.starts_with(sys::k_elf_magic);
}

Result<std::optional<ElfHeader>> read_elf_header(const RandomAccess& data) {
  std::string bytes(64, '\0');
  ORCH_TRY(const std::size_t got,
           data.read_at(0, {reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()}));
  bytes.resize(got);
  if (!has_elf_magic(bytes) || got < 52) return std::optional<ElfHeader>();
  const char klass = bytes[4];
  const char encoding = bytes[5];
  if ((klass != 1 && klass != 2) || (encoding != 1 && encoding != 2) || (klass == 2 && got < 64))
    return std::optional<ElfHeader>();
  ElfHeader header;
  header.is_64 = klass == 2;
  header.order = encoding == 1 ? ByteOrder::little : ByteOrder::big;
  const Reader in{bytes, header.order};
  header.type = in.u16(16);
  header.machine = in.u16(18);
  const std::uint64_t segment_table = header.is_64 ? in.u64(0x20) : in.u32(0x1C);
  header.section_table = header.is_64 ? in.u64(0x28) : in.u32(0x20);
  const std::size_t tail = header.is_64 ? 0x36 : 0x2A;
  const std::uint16_t segment_size = in.u16(tail);
  const std::uint16_t segment_count = in.u16(tail + 2);
  header.section_size = in.u16(tail + 4);
  header.section_count = in.u16(tail + 6);
  header.section_names = in.u16(tail + 8);
  if (segment_size >= (header.is_64 ? 56 : 32)) {
    ORCH_TRY(const std::string table, read_table(data, segment_table, segment_size, segment_count));
    const Reader records{table, header.order};
    for (std::size_t at = 0; at + segment_size <= table.size(); at += segment_size) {
      ElfSegment segment;
      segment.type = records.u32(at);
      segment.flags = records.u32(at + (header.is_64 ? 4 : 24));
      segment.offset = header.is_64 ? records.u64(at + 8) : records.u32(at + 4);
      segment.address = header.is_64 ? records.u64(at + 16) : records.u32(at + 8);
      segment.file_size = header.is_64 ? records.u64(at + 32) : records.u32(at + 16);
      header.segments.push_back(segment);
    }
  }
  return std::optional<ElfHeader>(std::move(header));
}

Result<std::vector<ElfSection>> read_elf_sections(const RandomAccess& data, const ElfHeader& header) {
  std::vector<ElfSection> sections;
  if (header.section_size < (header.is_64 ? 64 : 40)) return sections;
  ORCH_TRY(const std::string table,
           read_table(data, header.section_table, header.section_size, header.section_count));
  const Reader in{table, header.order};
  for (std::size_t at = 0; at + header.section_size <= table.size(); at += header.section_size) {
    ElfSection section;
    section.name = in.u32(at);
    section.type = in.u32(at + 4);
    section.offset = header.is_64 ? in.u64(at + 24) : in.u32(at + 16);
    section.size = header.is_64 ? in.u64(at + 32) : in.u32(at + 20);
    sections.push_back(section);
  }
  return sections;
}

Result<std::optional<ElfSection>> find_elf_section(const RandomAccess& data, const ElfHeader& header,
                                                   std::string_view name) {
  ORCH_TRY(const std::vector<ElfSection> sections, read_elf_sections(data, header));
  if (header.section_names >= sections.size() || name.size() >= k_max_name)
    return std::optional<ElfSection>();
  const ElfSection& names = sections[header.section_names];
  std::string text(name.size() + 1, '\0');
  for (const ElfSection& section : sections) {
    if (section.type == k_sht_nobits || section.name >= names.size) continue;
    const std::optional<std::uint64_t> at = sum(names.offset, section.name);
    if (!at) continue;
    ORCH_TRY(const std::size_t got,
             data.read_at(*at, {reinterpret_cast<std::uint8_t*>(text.data()), text.size()}));
    if (got == text.size() && text.back() == '\0' && text.compare(0, name.size(), name) == 0)
      return std::optional<ElfSection>(section);
  }
  return std::optional<ElfSection>();
}

Result<std::string> read_elf_interpreter(const RandomAccess& data, const ElfHeader& header) {
  for (const ElfSegment& segment : header.segments) {
    if (segment.type != k_pt_interp) continue;
    if (segment.offset > data.size() || segment.file_size > data.size() - segment.offset)
      return std::string();
    const std::uint64_t size = std::min<std::uint64_t>(segment.file_size, k_max_interpreter);
    ORCH_TRY(std::string text, read_exact(data, segment.offset, static_cast<std::size_t>(size)));
    text.resize(std::min(text.find('\0'), text.size()));
    return text;
  }
  return std::string();
}

Result<std::optional<std::uint64_t>> elf_end(const RandomAccess& data, const ElfHeader& header) {
  std::uint64_t end = header.is_64 ? 64 : 52;
  bool sane = true;
  const auto include = [&](std::uint64_t offset, std::uint64_t size) {
    const std::optional<std::uint64_t> to = sum(offset, size);
    if (to && *to <= data.size())
      end = std::max(end, *to);
    else
      sane = false;
  };
  for (const ElfSegment& segment : header.segments)
    if (segment.file_size != 0) include(segment.offset, segment.file_size);
  if (header.section_table != 0) {
    include(header.section_table, std::uint64_t{header.section_size} * header.section_count);
    ORCH_TRY(const std::vector<ElfSection> sections, read_elf_sections(data, header));
    for (const ElfSection& section : sections)
      if (section.type != k_sht_nobits && section.type != 0) include(section.offset, section.size);
  }
  if (!sane) return std::optional<std::uint64_t>();
  return std::optional<std::uint64_t>(end);
}

std::string machine_name(std::uint16_t machine, bool is_64) {
  switch (machine) {
    case 3:
      return "i386";
    case 8:
      return "mips";
    case 20:
      return "ppc";
    case 21:
      return "ppc64";
    case 22:
      return "s390x";
    case 40:
      return "arm";
    case 62:
      return is_64 ? "x86_64" : "x32";
    case 183:
      return "aarch64";
    case 243:
      return is_64 ? "riscv64" : "riscv32";
    case 247:
      return "bpf";
    case 258:
      return "loongarch64";
    default:
      return fmt::format("machine {}", machine);
  }
}

}  // namespace orch::image
