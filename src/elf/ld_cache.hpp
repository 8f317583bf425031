// The library cache of glibc's loader, /etc/ld.so.cache. Format: the new one ("glibc-ld.so.cache" "1.1",
// since 2.2), alone or behind the table of the old one, with the extension section of 2.32 and later; as
// ldconfig writes it on little-endian machines.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace orch::elf {

using base::Result;

// A 64-bit x86 library of libc 6 (FLAG_ELF_LIBC6 with the bits of the architecture).
inline constexpr std::uint32_t k_cache_x86_64 = 0x0303;

struct LdCacheEntry {
  std::string name;  // soname
  std::string path;
  std::uint32_t flags = k_cache_x86_64;
  // As stored, but 0 for entries of glibc-hwcaps subdirectories: those have `hwcaps`, "x86-64-v3", instead.
  std::uint64_t hwcap = 0;
  std::string hwcaps;
  unsigned isa_level = 0;  // entries with `hwcaps`: the level that the library's note demands, as stored
  friend bool operator==(const LdCacheEntry&, const LdCacheEntry&) = default;
};

// What a loader takes out of the cache.
struct LdCacheRules {
  unsigned isa_level = 3;     // of the processor, 1 to 4
  bool legacy_hwcap = false;  // glibc before 2.37: entries of the hwcap "x86_64" and of "tls" count
};

class LdCache {
 public:
  // An Error of kind corrupt where the loader would ignore the file, or where a table leads out of it.
  static Result<LdCache> parse(std::string_view bytes);

  LdCache() = default;
  explicit LdCache(std::vector<LdCacheEntry> entries);

  const std::vector<LdCacheEntry>& entries() const { return entries_; }  // in the order of the file
  // The path that the loader tries for a soname; nullptr if it finds none.
  const std::string* lookup(std::string_view name, const LdCacheRules& rules) const;

 private:
  std::vector<LdCacheEntry> entries_;
  std::unordered_map<std::string, std::vector<std::size_t>> by_name_;
};

// The subdirectories of glibc-hwcaps that a processor of `isa_level` uses, best first: "x86-64-v3",
// "x86-64-v2".
std::vector<std::string> hwcaps_subdirectories(unsigned isa_level);

// The order of glibc's _dl_cache_libcmp, in which numbers compare as numbers: negative, zero or positive.
int compare_library_names(std::string_view a, std::string_view b);

// The bytes of a cache with these entries, sorted as ldconfig sorts them: what is alike in name and kind
// keeps its order, and the first of those counts, so entries should come in the order of the directories.
// `generator` names the writer in the extension section.
std::string write_ld_cache(std::span<const LdCacheEntry> entries, std::string_view generator);

}  // namespace orch::elf
