// Which packages of a closure the stack has already: by their files, since an image does not say from which
// packages it was made.
#pragma once

#include "base/result.hpp"
#include "image/merged_view.hpp"
#include "package/lock_file.hpp"
#include "package/package_source.hpp"
#include "package/unpacked_cache.hpp"

#include <optional>
#include <vector>

namespace orch::package {

// A package counts as there
//   - if it belongs to the ABI boundary (image::is_abi_package), which is the base's alone; or
//   - if it has files below library directories, and the view has a file or link of each of these names; or
//   - if it has none there, and the view has all of its files but documentation; or
//   - if it has nothing but documentation, and the view has its copyright file.
// Nothing where the package has no such files at all. Versions are not compared: `verify` says whether symbol
// versions suffice.
Result<std::optional<ProvidedPackage>> provided_by(const image::MergedView& view,
                                                   const LockedPackage& package,
                                                   const std::vector<UnpackedEntry>& entries);

// The same for a whole closure: its archives are brought and looked into (and stay, unpacked, in the cache).
// `scratch`: an empty private directory on the cache's file system.
Result<std::vector<ProvidedPackage>> provided_by(const image::MergedView& view,
                                                 const std::vector<LockedPackage>& packages,
                                                 const Source& source, const Surroundings& around,
                                                 const std::string& scratch, unsigned jobs);

}  // namespace orch::package
