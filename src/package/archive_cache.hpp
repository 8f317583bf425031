// Package archives by SHA-256: CACHE/downloads/sha256/HEX holds every archive that was ever brought and
// verified.
#pragma once

#include "base/result.hpp"
#include "package/package_source.hpp"

#include <string>
#include <vector>

namespace orch::package {

// Where a download with that digest lies, or would lie.
std::string download_path(const std::string& cache_dir, const hash::Sha256& digest);

// Hard link to a verified download at `to`, which must not exist; a copy where that is on another file
// system.
Result<> place_download(const std::string& cached, const std::string& to);

// A copy, which nobody may write, at `to`, which must not exist.
Result<> copy_file(const std::string& from, const std::string& to);

// Puts every archive, verified by size and SHA-256, into `directory` (to create) under archive_file_name(): a
// hard link to the cache's file, or a copy where that is on another file system. What the cache lacks, or has
// damaged, is brought first, of apt's packages from the archives of the host's own apt if they are there, else from
// the source; nothing else is. Signatures that the source demands are checked of
// all of them, wherever they come from. `scratch`: an empty directory on the cache's
// file system. A package whose bytes differ from the lock is refused by name.
Result<> collect_archives(const std::vector<LockedPackage>& packages, const Source& source,
                          const Surroundings& around, const std::string& scratch,
                          const std::string& directory);

}  // namespace orch::package
