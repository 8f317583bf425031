// From archives to a directory tree: packages are unpacked by several threads, or found unpacked
// (unpacked_cache.hpp); the tree is planned in lock order (merged_tree.hpp), can be looked at as a plan, and
// is then made of links to the unpacked files. Names from archives are used only in that last step, in an
// empty directory, with every symlink created after everything else; so nothing can be written through one.
#pragma once

#include "base/result.hpp"
#include "hash/tree.hpp"
#include "package/locked_package.hpp"
#include "package/merged_tree.hpp"
#include "package/planned_tree.hpp"
#include "package/unpacked_cache.hpp"

#include <memory>
#include <string>
#include <vector>

namespace orch::package {

struct UnpackOrder {
  std::vector<LockedPackage> packages;  // sorted; the order decides between packages with the same file
  std::string archives;                 // the directory with NAME_VERSION_ARCH.deb
  std::string scratch;                  // empty, private
  std::string cache;                    // where unpacked packages are kept (CACHE/unpacked); empty: nowhere
  KeptPackages kept = KeptPackages::verify;
  std::string tree;  // to create
  TreeRules rules;
  unsigned jobs = 1;
};

struct UnpackedTree {
  hash::TreeListing listing;  // sorted; modes & 0777
  std::vector<std::size_t>
      owner;  // for each entry of the listing: index into packages, or MergedTree::k_no_package
  std::vector<SkippedEntry> skipped;
  std::vector<TreeNote> notes;
};

// What the packages will make together; nothing of it is on disk but the unpacked packages.
struct PlannedLayer {
  std::vector<UnpackedPackage> unpacked;  // as the packages of the order
  std::unique_ptr<MergedTree> plan;
  // Looks at this layer, which must outlive it.
  std::unique_ptr<PlannedTree> tree() const;
};

// Depends on packages and rules only: not on jobs, umask, user, or what was kept. Errors name the package.
Result<PlannedLayer> plan_layer(const UnpackOrder& order);
// Whether every package that was found in the cache is as it was made. May run while the layer is used, which
// it has to outlive.
bool kept_are_sound(const PlannedLayer& layer);
// Makes the planned tree in the directory `tree` (to create). Its files are further names of the unpacked
// ones: never to be written to.
Result<> stage_layer(const PlannedLayer& layer, const std::string& tree);
UnpackedTree describe(const MergedTree& merged);

// All of it at once.
Result<UnpackedTree> unpack_packages(const UnpackOrder& order);

}  // namespace orch::package
