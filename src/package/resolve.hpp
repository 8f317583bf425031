// From what a profile asks for to a lock file: which layers need resolving, in what order, and what changed.
#pragma once

#include "base/result.hpp"
#include "package/lock_file.hpp"
#include "package/package_source.hpp"

#include <optional>
#include <string>
#include <vector>

namespace orch::package {

enum class ResolveScope {
  missing,  // layers that the lock does not answer; the others keep their exact packages
  all,      // every layer, to the newest that the sources have
};

enum class ChangeKind { package, automatic, image, base };

struct LockChange {
  ChangeKind kind = ChangeKind::package;
  std::string layer;   // of images and the base: empty
  std::string name;    // a package; a soname; an image's layer; "distribution", "release", "package_set"
  std::string before;  // empty: added. Versions, packages, digests
  std::string after;   // empty: removed
  std::string reason;  // of a package that was added: LockedPackage::reason
};

// Resolves layer by layer, bottom first: packages that a lower layer of the profile has already (same name),
// or that the request says are there, are left out and recorded as provided. Each source's lists are updated
// at most once. Images and the base's identity are kept from `old`, except images of layers whose packages
// have changed.
Result<LockFile> resolve_lock(const std::vector<LayerRequest>& requests, const std::optional<LockFile>& old,
                              ResolveScope scope, const Surroundings& around);

// The base first, then packages in the order of `after`'s layers and by name, layers that are gone, and
// images.
std::vector<LockChange> compare_locks(const LockFile& before, const LockFile& after);

}  // namespace orch::package
