// From what a profile asks for to a lock file: which layers need resolving, in what order, and what changed.
#pragma once

#include "base/result.hpp"
#include "package/apt_root.hpp"
#include "package/lock_file.hpp"

#include <optional>
#include <string>
#include <vector>

namespace orch::package {

enum class ResolveScope {
  missing,  // layers that the lock does not answer; the others keep their exact packages
  all,      // every layer, to the newest that the sources have
};

struct PackageChange {
  std::string layer;
  std::string name;
  std::string before;  // empty: added
  std::string after;   // empty: removed
};

// Resolves layer by layer, bottom first: packages that a lower layer of the profile has already (same name)
// are left out and recorded as provided. Each source's lists are updated at most once.
Result<LockFile> resolve_lock(const std::vector<LayerRequest>& requests, const std::optional<LockFile>& old,
                              ResolveScope scope, const Surroundings& around);

// In the order of `after`'s layers, then by name; layers that are gone come last.
std::vector<PackageChange> compare_locks(const LockFile& before, const LockFile& after);

}  // namespace orch::package
