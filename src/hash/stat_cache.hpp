// Remembers digests of files by (path, inode, size, mtime, ctime), so that unchanged files are not read
// again.
//
// File format, version 2: the line "appimage-orch stat cache 2\n", then records. A record is u32 length of
// the rest, 8 bytes of the XXH3-128 of what follows, then u8 kind (1 XXH3-128, 2 SHA-256, 3 text), u64 inode,
// u64 size, i64 mtime ns, i64 ctime ns, u16 path length, path, value; numbers in the machine's byte order
// (the file never leaves it). Later records win. A file with another first line or a torn tail is started
// over or cut there: losing it costs time, never correctness.
#pragma once

#include "base/result.hpp"
#include "hash/digest.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace orch::hash {

class StatCache {
 public:
  // An empty path: nothing is remembered beyond the process. A file that cannot be read or written is no
  // error. `now_ns`: the time that the kernel would stamp a file with now, in ns since the epoch (tests move
  // it by hand); empty means CLOCK_REALTIME_COARSE.
  explicit StatCache(std::string path, std::function<std::int64_t()> now_ns = {});
  ~StatCache();  // saves
  StatCache(const StatCache&) = delete;
  StatCache& operator=(const StatCache&) = delete;

  // Digest of a regular file (symlinks followed). Files changed within the last clock ticks (`k_distrust`)
  // are hashed and not remembered: a further change in the same tick would not show.
  Result<Digest> digest(const std::string& path);
  Result<Sha256> sha256(const std::string& path);
  // Listing digest of a directory, by the same per-file digests; of modes only the owner's x bit counts.
  Result<Digest> tree_digest(const std::string& path);

  // A text about a file (a tool's version): remembered, or what `ask` says and then remembered until the file
  // changes.
  Result<std::string> text_of(const std::string& path, const std::string& topic,
                              const std::function<Result<std::string>()>& ask);

  // Appends new records with one write(2); compacts when most of the file is out of date.
  void save();

  // How many files were read to the end since construction: what tests pin.
  std::size_t files_hashed() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace orch::hash
