// NAME.lock.toml: exact versions, sizes and SHA-256 of every package of a profile.
//
// Form (version 1). Written sorted and with fixed spacing, so that equal locks are equal bytes:
//
//   version = 1
//
//   [[layer]]                        one for each packages layer of the profile, bottom first
//   name = "deps-jq"                 the layer's name in the profile
//   source = "auto"                  the name of its source
//   source_identity = "apt host"     Source::identity()
//   packages = ["libjq1"]            what the profile asks for, sorted
//   [[layer.provided]]               packages of the closure that a lower layer has already: left out of this
//   one name = "libc6"                   sorted by name version = "2.36-9"               the version there
//   layer = "base"                   where
//   [[layer.package]]                sorted by name
//   name = "libjq1"                  …, version, architecture, sha256, size, path, reason: see LockedPackage
//
// History: 1 (first). A file of another version is an error: it pins what the user chose, so it is never
// thrown away silently.
#pragma once

#include "base/result.hpp"
#include "model/profile.hpp"
#include "package/locked_package.hpp"
#include "package/source.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch::package {

// What the profile asks of one layer.
struct LayerRequest {
  std::string name;
  std::string role;
  Source source;
  std::vector<std::string> packages;  // sorted, without duplicates
  base::SourceSpan span;
};

// The layers of kind "packages" of an expanded profile, bottom first.
Result<std::vector<LayerRequest>> layer_requests(const model::Profile& profile);

struct ProvidedPackage {
  std::string name;
  std::string version;
  std::string layer;
  friend bool operator==(const ProvidedPackage&, const ProvidedPackage&) = default;
};

struct LockedLayer {
  std::string name;
  std::string source;
  std::string source_identity;
  std::vector<std::string> asked;
  std::vector<ProvidedPackage> provided;
  std::vector<LockedPackage> packages;
  friend bool operator==(const LockedLayer&, const LockedLayer&) = default;
};

struct LockFile {
  std::vector<LockedLayer> layers;
  friend bool operator==(const LockFile&, const LockFile&) = default;

  // nullopt if there is no such file. Errors carry file, line and column.
  static Result<std::optional<LockFile>> load(const std::string& path);
  static Result<LockFile> parse(std::string path, std::string text);
  std::string to_toml() const;
  // Atomically, and only if the bytes differ; true if it wrote.
  Result<bool> save(const std::string& path) const;

  const LockedLayer* find(std::string_view layer) const;
  // Why the lock does not answer the request; nullopt if it does. `lower`: the names of the packages layers
  // below.
  std::optional<std::string> mismatch(const LayerRequest& request,
                                      const std::vector<std::string>& lower) const;
  // The same for all requests at once: nullopt if the whole file fits, else the first reason, naming the
  // layer.
  std::optional<std::string> mismatch(const std::vector<LayerRequest>& requests) const;
};

// "NAME.lock.toml" in the profile's directory; for built-in profiles, in `user_profiles`.
std::string lock_path(const model::Profile& profile, const std::string& user_profiles);

// Sets `locked` (see locked_package.hpp) in each packages layer of the profile that the lock answers; the
// other layers keep none, and their steps are unresolved.
Result<> apply_lock(model::Profile& profile, const LockFile& lock);

}  // namespace orch::package
