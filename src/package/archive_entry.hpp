// What readers of package archives hand out: one entry after the other, with its content on demand. Knows
// nothing of where things go.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace orch::package {

using base::Result;

enum class EntryKind { file, directory, symlink, hard_link, other };

// As the archive has it: nothing here is checked, paths may be hostile.
struct ArchiveEntry {
  std::string path;
  EntryKind kind = EntryKind::other;
  std::uint32_t mode = 0;  // all twelve bits
  std::uint64_t size = 0;  // files
  std::string target;      // symlinks and hard links
};

// Fills the buffer with content of the entry that is being visited; 0 at its end.
using ContentReader = std::function<Result<std::size_t>(char* buffer, std::size_t size)>;
using EntryVisitor = std::function<Result<>(const ArchiveEntry&, const ContentReader&)>;

}  // namespace orch::package
