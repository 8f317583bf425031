// Reading a .deb in process: the ar container, then the tar inside, by libarchive. Knows nothing of where
// things go.
#pragma once

#include "package/archive_entry.hpp"

#include <string>

namespace orch::package {

// Calls `visit` for each entry of the data archive, in its order (xz, zstd, gzip, bzip2 or no compression).
// Reads to the very end, so that a damaged tail is noticed. Errors of kind corrupt name the file; an archive with
// more entries, or longer names, than entry_bound.hpp allows is one.
Result<> read_deb(const std::string& path, const EntryVisitor& visit);

// The text of the file `control` in the control archive; at most 1 MiB.
Result<std::string> read_deb_control(const std::string& path);

}  // namespace orch::package
