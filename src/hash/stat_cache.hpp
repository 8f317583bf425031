// Remembers digests of files by (path, inode, size, mtime, ctime), so that unchanged files are not read
// again.
//
// File format, version 1: the line "appimage-orch stat cache 1\n", then records. A record is u32 length of
// the rest, then u8 kind (1 XXH3-128, 2 SHA-256, 3 text), u64 inode, u64 size, i64 mtime ns, i64 ctime ns,
// u16 path length, path, value; numbers in the machine's byte order (the file never leaves it). Later records
// win. A file with another first line or a torn tail is started over or cut there: losing it costs time,
// never correctness.
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
  // Listing digest of a directory, by the same per-file digests.
  Result<Digest> tree_digest(const std::string& path);

  // A remembered text about a file (a tool's version); nullopt if unknown or the file has changed.
  std::optional<std::string> text(const std::string& path, const std::string& topic);
  void remember_text(const std::string& path, const std::string& topic, const std::string& value);

  // Appends new records with one write(2); compacts when most of the file is out of date.
  void save();

  // How many files were read to the end since construction: what tests pin.
  std::size_t files_hashed() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace orch::hash
