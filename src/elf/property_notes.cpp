#include "elf/property_notes.hpp"

#include "image/bytes.hpp"
#include "image/elf_header.hpp"

#include <algorithm>
#include <optional>

namespace orch::elf {

namespace {

constexpr std::uint32_t k_note_property = 5;
constexpr std::size_t k_max_notes = 1U << 20;
constexpr std::size_t k_max_segments = 65535;

// Where the program headers lie, which ElfHeader does not keep.
struct SegmentTable {
  std::uint64_t offset = 0;
  std::uint16_t size = 0;
};

Result<SegmentTable> segment_table(const image::RandomAccess& file, const image::ElfHeader& header) {
  ORCH_TRY(const std::string bytes, image::read_exact(file, 0, header.is_64 ? 64 : 52));
  const char* at = bytes.data();
  SegmentTable table;
  table.offset = header.is_64 ? image::load<std::uint64_t>(at + 0x20, header.order)
                              : image::load<std::uint32_t>(at + 0x1C, header.order);
  table.size = image::load<std::uint16_t>(at + (header.is_64 ? 0x36 : 0x2A), header.order);
  return table;
}

// The property notes of one segment. Words of the class align them, 4 bytes all others.
Result<> find_notes(const image::RandomAccess& file, const image::ElfHeader& header,
                    const image::ElfSegment& segment, std::vector<Patch>& patches) {
  if (segment.offset > file.size() || segment.file_size > file.size() - segment.offset) return {};
  if (segment.file_size > k_max_notes) return {};
  ORCH_TRY(const std::string bytes,
           image::read_exact(file, segment.offset, static_cast<std::size_t>(segment.file_size)));
  std::size_t at = 0;
  while (at + 12 <= bytes.size()) {
    const std::uint64_t name_size = image::load<std::uint32_t>(bytes.data() + at, header.order);
    const std::uint64_t size = image::load<std::uint32_t>(bytes.data() + at + 4, header.order);
    const auto type = image::load<std::uint32_t>(bytes.data() + at + 8, header.order);
    const std::uint64_t data = at + 12 + (name_size + 3) / 4 * 4;
    if (data > bytes.size() || size > bytes.size() - data) return {};
    const bool gnu = name_size == 4 && bytes.compare(at + 12, 4, std::string_view("GNU\0", 4)) == 0;
    if (gnu && type == k_note_property)
      patches.push_back({segment.offset + at + 8, std::string(4, '\0'), "note"});
    const std::size_t step = header.is_64 && type == k_note_property ? 8 : 4;
    at = static_cast<std::size_t>((data + size + step - 1) / step * step);
  }
  return {};
}

}  // namespace

Result<std::vector<Patch>> hide_property_notes(const image::RandomAccess& file) {
  std::vector<Patch> patches;
  ORCH_TRY(const std::optional<image::ElfHeader> header, image::read_elf_header(file));
  if (!header || header->segments.empty()) return patches;
  ORCH_TRY(const SegmentTable table, segment_table(file, *header));
  for (std::size_t i = 0; i < std::min(header->segments.size(), k_max_segments); ++i) {
    const image::ElfSegment& segment = header->segments[i];
    if (segment.type == image::k_pt_gnu_property)
      patches.push_back({table.offset + i * table.size, std::string(4, '\0'), "program header"});
    if (segment.type == image::k_pt_gnu_property || segment.type == image::k_pt_note)
      ORCH_CHECK(find_notes(file, *header, segment, patches));
  }
  // The two kinds of segments show the same notes.
  std::sort(patches.begin(), patches.end(),
            [](const Patch& a, const Patch& b) { return a.offset < b.offset; });
  patches.erase(std::unique(patches.begin(), patches.end()), patches.end());
  return patches;
}

}  // namespace orch::elf
