#include "elf/notes.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <span>

namespace orch::elf {

namespace {

constexpr std::uint32_t k_note_build_id = 3;
constexpr std::uint32_t k_note_property = 5;
constexpr std::uint32_t k_isa_needed = 0xc0008002;
constexpr std::uint32_t k_isa_used = 0xc0010002;
constexpr std::uint32_t k_feature_and = 0xc0000002;
constexpr std::size_t k_max_build_id = 64;

// The highest x86-64 level among the bits, 1 for bit 0; those above 4 have no meaning yet.
unsigned isa_level(std::uint32_t bits) {
  unsigned highest = 0;
  for (unsigned i = 0; i < 32; ++i)
    if ((bits >> i & 1) != 0) highest = i + 1;
  return highest;
}

void read_property(std::uint32_t type, std::uint32_t bits, Facts& facts) {
  if (type == k_isa_needed) facts.isa_needed = std::max(facts.isa_needed, isa_level(bits));
  if (type == k_isa_used) facts.isa_used = std::max(facts.isa_used, isa_level(bits));
  if (type == k_feature_and) {
    facts.ibt = (bits & 1) != 0;
    facts.shstk = (bits & 2) != 0;
  }
}

// Properties: u32 type, u32 size, data padded to words.
void read_properties(std::string_view bytes, std::size_t alignment, image::ByteOrder order, Facts& facts) {
  std::size_t at = 0;
  while (at + 12 <= bytes.size()) {
    const auto type = image::load<std::uint32_t>(bytes.data() + at, order);
    const std::size_t size = image::load<std::uint32_t>(bytes.data() + at + 4, order);
    if (size > bytes.size() - at - 8) return;
    if (size == 4) read_property(type, image::load<std::uint32_t>(bytes.data() + at + 8, order), facts);
    at += 8 + (size + alignment - 1) / alignment * alignment;
  }
}

}  // namespace

void read_notes(const std::string& bytes, bool is_64, image::ByteOrder order, bool property_segment,
                Facts& facts) {
  const std::size_t alignment = is_64 ? 8 : 4;
  std::size_t at = 0;
  while (at + 12 <= bytes.size()) {
    const std::uint64_t name_size = image::load<std::uint32_t>(bytes.data() + at, order);
    const std::uint64_t size = image::load<std::uint32_t>(bytes.data() + at + 4, order);
    const auto type = image::load<std::uint32_t>(bytes.data() + at + 8, order);
    const std::uint64_t data = at + 12 + (name_size + 3) / 4 * 4;
    if (data > bytes.size() || size > bytes.size() - data) return;
    if (name_size == 4 && bytes.compare(at + 12, 4, std::string_view("GNU\0", 4)) == 0) {
      const auto content =
          std::string_view(bytes).substr(static_cast<std::size_t>(data), static_cast<std::size_t>(size));
      if (type == k_note_property) read_properties(content, alignment, order, facts);
      if (type == k_note_build_id && facts.build_id.empty() && size <= k_max_build_id)
        facts.build_id = base::hex({reinterpret_cast<const std::uint8_t*>(content.data()), content.size()});
    }
    // Property notes are aligned to words, all others to 4 bytes.
    const std::size_t step = property_segment || type == k_note_property ? alignment : 4;
    at = static_cast<std::size_t>((data + size + step - 1) / step * step);
  }
}

}  // namespace orch::elf
