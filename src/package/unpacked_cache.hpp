// Unpacked packages, kept by the SHA-256 of their archives, so that a layer of which one package changed
// unpacks one. CACHE/unpacked/HEX holds the files of a package, 0, 1, 2, …, with their final modes, and
// `listing`: every entry of the archive in its order, with digests. What a layer leaves out is in it all the
// same: it belongs to no layer.
//
// A kept package is made in the caller's private directory and appears by one rename(2), so a kill leaves
// nothing half-made. Each use holds all of it against the listing: what was damaged is made again.
// Directories in CACHE/unpacked may be removed at any time (the time of last use is a directory's mtime): who
// is using one fails at worst with an error that a second build does not have.
#pragma once

#include "base/result.hpp"
#include "hash/digest.hpp"
#include "package/locked_package.hpp"
#include "package/merged_tree.hpp"
#include "package/rpm.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace orch::package {

// How many bytes at most are taken out of an archive: 200 times its size and 256 MiB.
Result<std::uint64_t> largest_unpacked(const std::string& archive);

struct UnpackedEntry {
  ArchiveEntry entry;
  Blob blob;  // files: `number` is the file's name in the directory
};

struct UnpackedPackage {
  std::string directory;
  std::vector<UnpackedEntry> entries;
  bool was_kept = false;  // found in the cache, sound
  bool damaged = false;   // found, but not sound: made again
};

// Whether a kept package is held against its listing before it is used, or is taken at its word: then
// somebody has to ask is_sound() before what comes of it is used.
enum class KeptPackages { verify, trust };

struct UnpackPlace {
  std::string cache;    // CACHE/unpacked; empty: nothing is kept
  std::string scratch;  // private to this caller and package; absent
  KeptPackages kept = KeptPackages::verify;
};

// Reads all files of the package, and finds each as its listing says.
bool is_sound(const UnpackedPackage& package);

// The package as it is kept, or unpacked now from `archive` by `read` and then kept. Errors: an archive whose
// SHA-256 is not `digest`, those of reading, and entries whose content is not as long as they say.
using ReadArchive = std::function<Result<>(const std::string& archive, const EntryVisitor& visit)>;
Result<UnpackedPackage> unpacked_package(const hash::Sha256& digest, const std::string& archive,
                                         const UnpackPlace& place, const ReadArchive& read = read_package);

// The listing's bytes and back; reading is strict, and everything in it is checked. For tests.
std::string encode_listing(const std::vector<UnpackedEntry>& entries);
Result<std::vector<UnpackedEntry>> decode_listing(std::string_view bytes);

}  // namespace orch::package
