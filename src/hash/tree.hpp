// What a tree is, for digests and manifests: a sorted listing of entries. Owners and times are not part of
// it.
#pragma once

#include "base/result.hpp"
#include "hash/digest.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace orch::hash {

enum class EntryType : char { file = 'f', directory = 'd', symlink = 'l' };

struct TreeEntry {
  std::string path;  // relative, bytes, no leading or trailing '/', never empty, no "." or ".." component
  EntryType type = EntryType::file;
  std::uint32_t mode = 0;  // permission bits, 0..0777; 0777 for symlinks
  std::uint64_t size = 0;  // files: bytes; symlinks: length of the target; directories: 0
  Digest digest;           // files: content; otherwise zero
  std::string target;      // symlinks
  std::string
      hard_link;  // files: path of the first (in byte order) name of the same file, empty if this is it
};

struct TreeListing {
  std::vector<TreeEntry> entries;

  // Sorts by path bytes; call it before the digests.
  void sort();
  // Length-delimited records of every entry: the byte string that both digests are taken of.
  std::string canonical() const;
  Digest digest() const;
  Sha256 sha256() const;
  std::uint64_t total_bytes() const;
};

// Digest of a regular file by its path.
using TreeHash = std::function<Result<Digest>(const std::string& path)>;

// Lists and hashes the tree at `root` on `threads` threads. Devices, FIFOs and sockets are errors.
// Modes are recorded as they are on disk & 0777.
Result<TreeListing> list_tree(const std::string& root, unsigned threads);
// The same on this thread, with the caller's way to hash a file (the stat cache).
Result<TreeListing> list_tree(const std::string& root, const TreeHash& hash_one);

}  // namespace orch::hash
