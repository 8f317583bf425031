// Sources of kind "dnf": dnf in a private root resolves and fetches the lists; exact facts come from the
// lists themselves, archives by their addresses, signatures are checked by rpmkeys.
#pragma once

#include "base/result.hpp"
#include "package/package_source.hpp"
#include "package/rpm_metadata.hpp"

#include <memory>
#include <string>
#include <vector>

namespace orch::package {

// Locks the private root (dnf_root.hpp) for the lifetime of the object.
Result<std::unique_ptr<PackageSource>> open_dnf_source(const Source& source, const Surroundings& around);

// For each package the indices of packages that provide something it needs, by capability or by file. Rich
// expressions and what rpm itself must be able to do are left out.
std::vector<std::vector<std::size_t>> requirement_indices(const std::vector<RpmMetadata>& packages);

// What rpm writes for a library of 64 bits: "libx.so.1()(64bit)".
std::string soname_capability(const std::string& soname);

}  // namespace orch::package
