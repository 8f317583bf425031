// From archives to a directory tree: contents are read by several threads into numbered files, the tree is
// planned in lock order (merged_tree.hpp), then made. Names from archives are used only in the last step, in
// an empty directory, with every symlink created after everything else; so nothing can be written through
// one.
#pragma once

#include "base/result.hpp"
#include "hash/tree.hpp"
#include "package/locked_package.hpp"
#include "package/merged_tree.hpp"

#include <string>
#include <vector>

namespace orch::package {

struct UnpackOrder {
  std::vector<LockedPackage> packages;  // sorted; the order decides between packages with the same file
  std::string archives;                 // the directory with NAME_VERSION_ARCH.deb
  std::string scratch;                  // empty, private, on the file system of `tree`
  std::string tree;                     // to create
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

// The result depends on packages and rules only: not on jobs, umask or user.
Result<UnpackedTree> unpack_packages(const UnpackOrder& order);

}  // namespace orch::package
