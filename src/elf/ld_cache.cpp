#include "elf/ld_cache.hpp"

#include "image/bytes.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

namespace orch::elf {

using base::ErrorKind;
using base::fail;
using image::load_u32;
using image::load_u64;

namespace {

constexpr std::string_view k_old_magic = "ld.so-1.7.0";
constexpr std::string_view k_new_magic = "glibc-ld.so.cache1.1";
constexpr std::size_t k_old_header = 16;
constexpr std::size_t k_old_entry = 12;
constexpr std::size_t k_header = 48;
constexpr std::size_t k_entry = 24;
constexpr std::uint32_t k_extension_magic = 0xeaa42174;
constexpr std::uint32_t k_generator_section = 0;
constexpr std::uint32_t k_hwcaps_section = 1;
constexpr std::size_t k_max_entries = 1U << 20;
constexpr std::size_t k_max_string = 4096;
constexpr std::uint32_t k_max_sections = 64;
// An entry's hwcap field of the extension: bit 62, the ISA level from bit 32 on, the index of the name below.
constexpr std::uint64_t k_extension_bit = std::uint64_t{1} << 62;
constexpr std::uint64_t k_level_mask = 0x3ff;
// Legacy fields: bit 1 is "x86_64", bit 63 "tls".
constexpr std::uint64_t k_legacy_usable = (std::uint64_t{1} << 1) | (std::uint64_t{1} << 63);

// Names compare as the loader compares them: digits as numbers. Equal names have equal keys.
std::string key_of(std::string_view name) {
  std::string key;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool digit = name[i] >= '0' && name[i] <= '9';
    const bool after_digit = !key.empty() && key.back() >= '0' && key.back() <= '9';
    const bool before_digit = i + 1 < name.size() && name[i + 1] >= '0' && name[i + 1] <= '9';
    if (digit && name[i] == '0' && !after_digit && before_digit) continue;
    key += name[i];
  }
  return key;
}

// The loader's order of names (it searches by bisection, in descending order). It is x86_64's: char has a sign there.
int compare_names(std::string_view a, std::string_view b) {
  const auto is_digit = [](std::string_view text) {
    return !text.empty() && text.front() >= '0' && text.front() <= '9';
  };
  const auto number = [&](std::string_view& text) {
    std::uint64_t value = 0;
    for (; is_digit(text); text.remove_prefix(1))
      value = value * 10 + static_cast<std::uint64_t>(text.front() - '0');
    return value;
  };
  while (!a.empty()) {
    if (is_digit(a) != is_digit(b)) return is_digit(a) ? 1 : -1;
    if (is_digit(a)) {
      const std::uint64_t left = number(a);
      const std::uint64_t right = number(b);
      if (left != right) return left < right ? -1 : 1;
      continue;
    }
    const char right = b.empty() ? '\0' : b.front();
    if (a.front() != right) return static_cast<signed char>(a.front()) - static_cast<signed char>(right);
    a.remove_prefix(1);
    b.remove_prefix(1);
  }
  return b.empty() ? 0 : -static_cast<int>(static_cast<signed char>(b.front()));
}

struct Table {
  std::string_view bytes;
  std::optional<std::string> text(std::uint64_t at) const {
    if (at >= bytes.size()) return std::nullopt;
    const std::string_view rest = bytes.substr(static_cast<std::size_t>(at), k_max_string + 1);
    const std::size_t end = rest.find('\0');
    if (end == std::string_view::npos) return std::nullopt;
    return std::string(rest.substr(0, end));
  }
};

// The names of glibc-hwcaps subdirectories in the extension section; empty where there are none.
std::vector<std::string> read_hwcaps(const Table& table, std::uint64_t offset) {
  std::vector<std::string> names;
  if (offset == 0 || offset % 4 != 0 || offset + 8 > table.bytes.size()) return names;
  const char* at = table.bytes.data() + offset;
  const std::uint32_t count = std::min(load_u32(at + 4), k_max_sections);
  if (load_u32(at) != k_extension_magic || (table.bytes.size() - offset - 8) / 16 < count) return names;
  for (std::uint32_t i = 0; i < count; ++i) {
    const char* section = at + 8 + std::size_t{16} * i;
    const std::uint64_t start = load_u32(section + 8);
    const std::uint64_t size = load_u32(section + 12);
    if (load_u32(section) != k_hwcaps_section || start > table.bytes.size() ||
        size > table.bytes.size() - start)
      continue;
    for (std::uint64_t k = 0; k + 4 <= size; k += 4)
      names.push_back(table.text(load_u32(table.bytes.data() + start + k)).value_or(""));
    break;
  }
  return names;
}

// Where the new format begins; nullopt if nowhere.
std::optional<std::size_t> find_new_format(std::string_view bytes) {
  if (bytes.starts_with(k_new_magic)) return 0;
  if (!bytes.starts_with(k_old_magic) || bytes.size() < k_old_header) return std::nullopt;
  const std::size_t count = load_u32(bytes.data() + 12);
  if (count > (bytes.size() - k_old_header) / k_old_entry) return std::nullopt;
  const std::size_t start = (k_old_header + count * k_old_entry + 7) / 8 * 8;
  if (start > bytes.size() || !bytes.substr(start).starts_with(k_new_magic)) return std::nullopt;
  return start;
}

}  // namespace

std::vector<std::string> hwcaps_subdirectories(unsigned isa_level) {
  std::vector<std::string> names;
  for (unsigned level = std::min(isa_level, 4U); level >= 2; --level)
    names.push_back("x86-64-v" + std::to_string(level));
  return names;
}

LdCache::LdCache(std::vector<LdCacheEntry> entries) : entries_(std::move(entries)) {
  for (std::size_t i = 0; i < entries_.size(); ++i) by_name_[key_of(entries_[i].name)].push_back(i);
}

Result<LdCache> LdCache::parse(std::string_view bytes) {
  const std::optional<std::size_t> start = find_new_format(bytes);
  if (!start) return fail(ErrorKind::corrupt, "ld.so.cache has no table of the format 1.1");
  const Table table{bytes.substr(*start)};
  if (table.bytes.size() < k_header) return fail(ErrorKind::corrupt, "ld.so.cache ends in its header");
  const char* header = table.bytes.data();
  const std::size_t count = load_u32(header + 20);
  const int order = header[28] & 3;  // 0 unknown, 2 little endian
  if (order == 1 || order == 3)
    return fail(ErrorKind::corrupt, "ld.so.cache is of the other byte order or marked as invalid");
  if (count > k_max_entries || count > (table.bytes.size() - k_header) / k_entry)
    return fail(ErrorKind::corrupt, "ld.so.cache is shorter than its table of entries");
  const std::vector<std::string> hwcaps = read_hwcaps(table, load_u32(header + 32));
  std::vector<LdCacheEntry> entries;
  entries.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const char* at = header + k_header + i * k_entry;
    LdCacheEntry entry;
    entry.flags = load_u32(at);
    const std::optional<std::string> name = table.text(load_u32(at + 4));
    const std::optional<std::string> path = table.text(load_u32(at + 8));
    if (!name || !path) return fail(ErrorKind::corrupt, "an entry of ld.so.cache has no text");
    entry.name = *name;
    entry.path = *path;
    entry.hwcap = load_u64(at + 16);
    if (((entry.hwcap >> 32) & ~k_level_mask) == k_extension_bit >> 32) {
      const auto index = static_cast<std::uint32_t>(entry.hwcap);
      entry.hwcaps = index < hwcaps.size() ? hwcaps[index] : "?";
      entry.isa_level = static_cast<unsigned>((entry.hwcap >> 32) & k_level_mask);
      entry.hwcap = 0;
    }
    entries.push_back(std::move(entry));
  }
  return LdCache(std::move(entries));
}

// Entries of glibc-hwcaps come before the others of their name. The best of those counts; without one, the
// first of the others.
const std::string* LdCache::lookup(std::string_view name, const LdCacheRules& rules) const {
  const auto found = by_name_.find(key_of(name));
  if (found == by_name_.end()) return nullptr;
  const std::vector<std::string> wanted = hwcaps_subdirectories(rules.isa_level);
  const LdCacheEntry* best = nullptr;
  std::size_t best_rank = wanted.size();
  for (const std::size_t index : found->second) {
    const LdCacheEntry& entry = entries_[index];
    if (entry.flags != k_cache_x86_64 && entry.flags != 1) continue;
    if (entry.hwcaps.empty()) {
      if (best && best_rank < wanted.size()) break;
      if (entry.hwcap != 0 && !(rules.legacy_hwcap && (entry.hwcap & ~k_legacy_usable) == 0)) continue;
      if (!best || entry.flags == k_cache_x86_64) best = &entry;
      if (entry.flags == k_cache_x86_64) break;
      continue;
    }
    const auto rank =
        static_cast<std::size_t>(std::find(wanted.begin(), wanted.end(), entry.hwcaps) - wanted.begin());
    // The level is stored as the number of its bit.
    if (rank >= best_rank || entry.isa_level >= rules.isa_level) continue;
    best = &entry;
    best_rank = rank;
  }
  return best ? &best->path : nullptr;
}

namespace {

void put(std::string& out, std::uint64_t number, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) out += static_cast<char>(number >> (8 * i) & 0xff);
}

// Descending by name; then glibc-hwcaps entries by the name of their subdirectory before the others, and
// those by flags and hwcap, descending.
bool comes_before(const LdCacheEntry& a, const LdCacheEntry& b) {
  if (const int order = compare_names(a.name, b.name); order != 0) return order > 0;
  if (a.hwcaps.empty() != b.hwcaps.empty()) return b.hwcaps.empty();
  if (a.hwcaps != b.hwcaps) return a.hwcaps < b.hwcaps;
  if (a.flags != b.flags) return a.flags > b.flags;
  return a.hwcap > b.hwcap;
}

// NUL-terminated texts, each once, with their offsets from the start of the file.
struct StringTable {
  std::size_t start;
  std::string bytes{};
  std::map<std::string, std::size_t> offsets{};

  std::size_t offset(const std::string& text) {
    const auto [known, is_new] = offsets.try_emplace(text, start + bytes.size());
    if (is_new) bytes += text + '\0';
    return known->second;
  }
};

}  // namespace

int compare_library_names(std::string_view a, std::string_view b) {
  return compare_names(a, b);
}

std::string write_ld_cache(std::span<const LdCacheEntry> entries, std::string_view generator) {
  std::vector<LdCacheEntry> sorted(entries.begin(), entries.end());
  std::stable_sort(sorted.begin(), sorted.end(), comes_before);
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  std::set<std::string> names;
  for (const LdCacheEntry& entry : sorted)
    if (!entry.hwcaps.empty()) names.insert(entry.hwcaps);
  StringTable strings{k_header + sorted.size() * k_entry};
  std::string table;
  for (const LdCacheEntry& entry : sorted) {
    put(table, entry.flags, 4);
    put(table, strings.offset(entry.name), 4);
    put(table, strings.offset(entry.path), 4);
    put(table, 0, 4);
    const auto index = static_cast<std::uint64_t>(std::distance(names.begin(), names.find(entry.hwcaps)));
    put(table,
        entry.hwcaps.empty()
            ? entry.hwcap
            : k_extension_bit | (std::uint64_t{entry.isa_level} & k_level_mask) << 32 | index,
        8);
  }
  std::string hwcaps;
  for (const std::string& name : names) put(hwcaps, strings.offset(name), 4);

  std::string out(k_new_magic);
  put(out, sorted.size(), 4);
  put(out, strings.bytes.size(), 4);
  put(out, 2, 4);  // little endian
  const std::size_t extension = (strings.start + strings.bytes.size() + 3) / 4 * 4;
  put(out, extension, 4);
  out.append(12, '\0');
  out += table + strings.bytes;
  out.append(extension - out.size(), '\0');
  // The generator's text is not terminated and stands last.
  const std::size_t sections = hwcaps.empty() ? 1 : 2;
  const std::size_t content = extension + 8 + 16 * sections;
  put(out, k_extension_magic, 4);
  put(out, sections, 4);
  const auto section = [&](std::uint32_t tag, std::size_t offset, std::size_t size) {
    put(out, tag, 4);
    put(out, 0, 4);
    put(out, offset, 4);
    put(out, size, 4);
  };
  section(k_generator_section, content + hwcaps.size(), generator.size());
  if (!hwcaps.empty()) section(k_hwcaps_section, content, hwcaps.size());
  return out + hwcaps + std::string(generator);
}

}  // namespace orch::elf
