// Reading a .deb in process: the ar container, then the tar inside, by libarchive. Knows nothing of where
// things go.
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

// Calls `visit` for each entry of the data archive, in its order (xz, zstd, gzip, bzip2 or no compression).
// Reads to the very end, so that a damaged tail is noticed. Errors of kind corrupt name the file.
Result<> read_deb(const std::string& path, const EntryVisitor& visit);

}  // namespace orch::package
