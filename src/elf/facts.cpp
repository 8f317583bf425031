#include "elf/facts.hpp"

#include "base/text.hpp"

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
constexpr std::uint64_t k_max_strings = 16U << 20;
constexpr std::uint64_t k_max_notes = 64U << 10;
constexpr std::size_t k_max_versions = 65536;
constexpr std::size_t k_max_name = 4096;

// Dynamic tags.
constexpr std::uint64_t k_needed = 1;
constexpr std::uint64_t k_strtab = 5;
constexpr std::uint64_t k_strsz = 10;
constexpr std::uint64_t k_soname = 14;
constexpr std::uint64_t k_rpath = 15;
constexpr std::uint64_t k_runpath = 29;
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
      if (segment.type == image::k_pt_gnu_property || segment.type == image::k_pt_note)
        ORCH_CHECK(read_notes(segment));
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
  template <class T>
  T number(const std::string& bytes, std::size_t at) const {
    return load<T>(bytes.data() + at, header_.order);
  }
  std::uint64_t word(const std::string& bytes, std::size_t at) const {
    return header_.is_64 ? number<std::uint64_t>(bytes, at) : number<std::uint32_t>(bytes, at);
  }
  // Where an address of the running program lies in the file.
  std::optional<std::uint64_t> file_offset(std::uint64_t address) const {
    for (const ElfSegment& segment : header_.segments)
      if (segment.type == image::k_pt_load && address >= segment.address &&
          address - segment.address < segment.file_size)
        return segment.offset + (address - segment.address);
    return std::nullopt;
  }
  std::string text(std::uint64_t at) const {
    if (at >= strings_.size()) return {};
    const std::size_t end = strings_.find('\0', static_cast<std::size_t>(at));
    if (end == std::string::npos || end - at > k_max_name) return {};
    return strings_.substr(static_cast<std::size_t>(at), end - static_cast<std::size_t>(at));
  }
  std::vector<std::string> paths(std::uint64_t at) const {
    std::vector<std::string> out;
    const std::string joined = text(at);
    for (const std::string_view part : base::split(joined, ':'))
      if (!part.empty()) out.emplace_back(part);
    return out;
  }

  Result<> read_dynamic(const ElfSegment& segment);
  Result<> read_versions(std::uint64_t address, std::uint64_t count);
  Result<> read_notes(const ElfSegment& segment);
  void read_property(const std::string& bytes, std::size_t at, std::size_t end);

  const RandomAccess& file_;
  const ElfHeader& header_;
  Facts& facts_;
  std::string strings_;
};

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
  const auto strings = file_offset(value(k_strtab).value_or(0));
  if (!strings) return {};
  ORCH_TRY(strings_, window(*strings, value(k_strsz).value_or(0), k_max_strings));
  for (const Item& item : items) {
    if (item.tag == k_needed && !text(item.value).empty()) facts_.needed.push_back(text(item.value));
    if (item.tag == k_soname) facts_.soname = text(item.value);
    if (item.tag == k_rpath) facts_.rpath = paths(item.value);
    if (item.tag == k_runpath) facts_.runpath = paths(item.value);
  }
  if (const auto address = value(k_verneed)) return read_versions(*address, value(k_verneednum).value_or(0));
  return {};
}

// Verneed and Vernaux records of 16 bytes each, chained by relative offsets.
Result<> Reader::read_versions(std::uint64_t address, std::uint64_t count) {
  const auto start = file_offset(address);
  if (!start) return {};
  ORCH_TRY(const std::string bytes, window(*start, k_max_dynamic, k_max_dynamic));
  std::size_t at = 0;
  for (std::uint64_t i = 0; i < count && at + 16 <= bytes.size(); ++i) {
    const std::string library = text(number<std::uint32_t>(bytes, at + 4));
    std::size_t version = at + number<std::uint32_t>(bytes, at + 8);
    const auto versions = number<std::uint16_t>(bytes, at + 2);
    for (std::uint16_t k = 0; k < versions && version + 16 <= bytes.size(); ++k) {
      if (facts_.versions.size() >= k_max_versions) return {};
      const bool weak = (number<std::uint16_t>(bytes, version + 4) & 2) != 0;
      facts_.versions.push_back({library, text(number<std::uint32_t>(bytes, version + 8)), weak});
      const auto next = number<std::uint32_t>(bytes, version + 12);
      if (next == 0) break;
      version += next;
    }
    const auto next = number<std::uint32_t>(bytes, at + 12);
    if (next == 0) break;
    at += next;
  }
  return {};
}

// GNU property notes: name "GNU", type 5, then properties (u32 type, u32 size, padded data).
Result<> Reader::read_notes(const ElfSegment& segment) {
  ORCH_TRY(const std::string bytes, window(segment.offset, segment.file_size, k_max_notes));
  const std::size_t alignment = header_.is_64 ? 8 : 4;
  std::size_t at = 0;
  while (at + 12 <= bytes.size()) {
    const std::uint64_t name_size = number<std::uint32_t>(bytes, at);
    const std::uint64_t size = number<std::uint32_t>(bytes, at + 4);
    const auto type = number<std::uint32_t>(bytes, at + 8);
    const std::uint64_t data = at + 12 + (name_size + 3) / 4 * 4;
    if (data > bytes.size() || size > bytes.size() - data) return {};
    if (type == 5 && name_size == 4 && bytes.compare(at + 12, 4, std::string_view("GNU\0", 4)) == 0)
      read_property(bytes, static_cast<std::size_t>(data), static_cast<std::size_t>(data + size));
    // Property notes are aligned to words, all others to 4 bytes.
    const std::size_t step = segment.type == image::k_pt_gnu_property || type == 5 ? alignment : 4;
    at = static_cast<std::size_t>((data + size + step - 1) / step * step);
  }
  return {};
}

void Reader::read_property(const std::string& bytes, std::size_t at, std::size_t end) {
  constexpr std::uint32_t k_isa_needed = 0xc0008002;
  constexpr std::uint32_t k_isa_used = 0xc0010002;
  const std::size_t alignment = header_.is_64 ? 8 : 4;
  const auto level = [](std::uint32_t bits) {
    unsigned highest = 0;
    for (unsigned i = 0; i < 4; ++i)
      if ((bits >> i & 1) != 0) highest = i + 1;
    return highest;
  };
  while (at + 12 <= end) {
    const auto type = number<std::uint32_t>(bytes, at);
    const std::size_t size = number<std::uint32_t>(bytes, at + 4);
    if (size > end - at - 8) return;
    if (size == 4 && type == k_isa_needed)
      facts_.isa_needed = std::max(facts_.isa_needed, level(number<std::uint32_t>(bytes, at + 8)));
    if (size == 4 && type == k_isa_used)
      facts_.isa_used = std::max(facts_.isa_used, level(number<std::uint32_t>(bytes, at + 8)));
    at += 8 + (size + alignment - 1) / alignment * alignment;
  }
}

}  // namespace

Result<std::optional<Facts>> read_facts(const RandomAccess& file) {
  ORCH_TRY(const std::optional<ElfHeader> header, image::read_elf_header(file));
  if (!header) return std::optional<Facts>();
  Facts facts;
  facts.is_64 = header->is_64;
  facts.machine = header->machine;
  facts.type = header->type;
  ORCH_TRY(facts.interpreter, image::read_elf_interpreter(file, *header));
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
