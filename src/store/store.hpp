// The content-addressed store of artifacts and the action cache.
//
// Layout below the root, version 1 (a store of another version is left alone: it has another folder name):
//   cas/KIND/xx/DIGEST/…          an artifact: its data (image.erofs, root/, document.json or file) and
//   manifest.json ac/xx/KEY.json                action-cache record: what a key made locks/KEY flock while
//   the key is being made tmp/NAME/, tmp/NAME.lock      private directories of running steps; NAME.lock is
//   held by the step corrupt/…                     artifacts that did not hold against their manifest
// An artifact appears by one rename(2) of a whole directory; the record is written and fsynced after it.
#pragma once

#include "base/result.hpp"
#include "hash/tree.hpp"
#include "model/artifact.hpp"
#include "sys/file.hpp"

#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace orch::store {

using base::Result;

// What a key made, when, and whether power loss could have torn it.
struct Record {
  hash::Digest key;
  std::string rule;
  std::vector<model::OutputRecord> outputs;
  double seconds = 0;   // how long the action took
  bool synced = false;  // artifacts were fsynced
  std::string boot_id;  // of the boot that wrote it
};

enum class Lookup { hit, absent, torn_record, artifact_missing, artifact_corrupt };

// Whether a lookup may move a torn artifact aside and note that a whole one was verified. Plans look, builds
// repair.
enum class Repair { no, yes };

struct LookupResult {
  Lookup outcome = Lookup::absent;
  Record record;  // for a hit
};

// A private directory for one running action; removed with the object.
class Staging {
 public:
  Staging(Staging&& other) noexcept
      : path_(std::exchange(other.path_, std::string())), lock_(std::move(other.lock_)) {}
  Staging& operator=(Staging&&) = delete;
  ~Staging();
  const std::string& path() const { return path_; }

 private:
  friend class Store;
  Staging(std::string path, sys::FileLock lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  std::string path_;
  sys::FileLock lock_;
};

// Held while one key, or one artifact's place, is worked on.
class KeyLock {
 public:
  KeyLock(KeyLock&& other) noexcept
      : path_(std::exchange(other.path_, std::string())), lock_(std::move(other.lock_)) {}
  KeyLock& operator=(KeyLock&&) = delete;
  ~KeyLock();

 private:
  friend class Store;
  KeyLock(std::string path, sys::FileLock lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  std::string path_;
  sys::FileLock lock_;
};

struct KindStats {
  model::ArtifactKind kind;
  std::uint64_t count = 0;
  std::uint64_t bytes = 0;
};

class Store {
 public:
  // `root`: absolute. Nothing is touched before prepare().
  explicit Store(std::string root) : root_(std::move(root)) {}

  const std::string& root() const { return root_; }
  // Makes the folders. An unwritable place is an error that names it.
  Result<> prepare() const;

  // Where the artifact's data is: a directory for trees, else a file.
  std::string data_path(const model::ArtifactRef& artifact) const;
  std::string manifest_path(const model::ArtifactRef& artifact) const;
  bool has(const model::ArtifactRef& artifact) const;
  // SHA-256 of an artifact's data (for trees: of the canonical listing), from its manifest.
  Result<std::string> sha256(const model::ArtifactRef& artifact) const;

  // A record counts only if all its artifacts are there; one that another boot left unsynced is verified
  // first.
  Result<LookupResult> lookup(const hash::Digest& key, Repair repair) const;
  Result<> write_record(const Record& record) const;

  Result<Staging> stage() const;
  // Takes the data at `path` (inside a staging directory) into the store and makes its files read-only. A
  // tree's listing, or a file's digests, may be handed over if they were made while writing. An equal
  // artifact that is already there stays.
  Result<model::ArtifactRef> publish(model::ArtifactKind kind, const std::string& path,
                                     std::optional<hash::TreeListing> listing = std::nullopt,
                                     const std::optional<hash::FileDigests>& digests = std::nullopt) const;
  // Waits until nobody else makes this key. Its file goes with it.
  Result<KeyLock> lock_key(const hash::Digest& key) const;

  // Re-hashes the data against the manifest.
  Result<bool> verify(const model::ArtifactRef& artifact) const;
  // For an artifact that a foreign command was given: true if nothing of it was written since `start` (of the
  // coarse real-time clock, which file systems use), or if it is whole all the same. Otherwise it is moved
  // aside.
  Result<bool> survived(const model::ArtifactRef& artifact, const timespec& start) const;
  // Removes what killed steps left behind. Says how many directories.
  Result<std::size_t> sweep() const;
  Result<std::vector<KindStats>> stats() const;
  Result<std::uint64_t> record_count() const;

 private:
  std::string artifact_dir(const model::ArtifactRef& artifact) const;
  std::string record_path(const hash::Digest& key) const;
  void set_aside(const model::ArtifactRef& artifact) const;
  Result<KeyLock> lock_named(const std::string& name) const;
  // Whole, or moved aside; looked at again under the artifact's lock, as another process may have replaced
  // it.
  Result<bool> whole_or_aside(const model::ArtifactRef& artifact) const;

  std::string root_;
};

}  // namespace orch::store
