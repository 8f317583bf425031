// How much of an archive's table of contents is kept in memory: entries cost an archive next to nothing.
#pragma once

#include "package/archive_entry.hpp"

namespace orch::package {

// Real packages stay below 200 000 entries, with names of 60 bytes.
inline constexpr std::uint64_t k_most_entries = 1U << 19U;
inline constexpr std::uint64_t k_most_name_bytes = 256U << 20U;

class EntryBound {
 public:
  // Counts an entry. What is wrong, or empty; the caller names the archive.
  std::string_view add(const ArchiveEntry& entry) {
    names_ += entry.path.size() + entry.target.size();
    if (++entries_ > k_most_entries) return "it has more than 524288 entries, which no package has";
    if (names_ > k_most_name_bytes) return "its names take more than 256 MiB, which no package's do";
    return {};
  }

 private:
  std::uint64_t entries_ = 0;
  std::uint64_t names_ = 0;
};

}  // namespace orch::package
