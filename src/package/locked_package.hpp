// One exact package, as a lock file records it and as the steps pass it on.
#pragma once

#include "base/result.hpp"
#include "base/value.hpp"
#include "hash/digest.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace orch::package {

using base::Result;
using base::Value;

struct LockedPackage {
  std::string name;
  std::string version;       // as the distribution writes it, with epoch; of an RPM with release
  std::string architecture;  // "amd64" or "all" (.deb), "x86_64" or "noarch" (.rpm)
  hash::Sha256 sha256;
  std::uint64_t size = 0;
  std::string path;    // below the archive's root ("pool/…"); empty if the resolver did not say
  std::string origin;  // "Debian/bookworm", the id of an RPM repository, "dir", "files"; empty: not known
  // "asked": named in the profile; "required by NAME": a package of the closure needs it; "provides SONAME":
  // added because something needs that library; "required": by another package (lock files of version 1, and
  // where the resolver does not say by which).
  std::string reason;
  bool allow_unsigned = false;  // from a source whose packages need no signature

  friend bool operator==(const LockedPackage&, const LockedPackage&) = default;
};

bool is_rpm(const LockedPackage& package);  // by its architecture
// Whether it may be part of an x86_64 tree: any but "arm64" and "aarch64", which a package that only holds an
// image may have.
bool is_for_x86_64(const LockedPackage& package);

// "NAME_VERSION_ARCH.deb" (or ".rpm") as apt writes it: '_', ':' and '%' as %xx, so that it is one safe path
// component.
std::string archive_file_name(const LockedPackage& package);

// Whether a name is one that Debian's policy allows ([a-z0-9][a-z0-9+.-]+); everything that reaches a command
// line is held against this, or against the next.
bool is_package_name(std::string_view name);
// The same for RPM, whose names have capitals and underscores too.
bool is_rpm_name(std::string_view name);
bool is_package_version(std::string_view version);
bool is_reason(std::string_view reason);

// The value of `item.locked`: tables {name, version, architecture, sha256, size, path, reason}, and
// {origin, allow_unsigned} where they say something.
Value to_value(const std::vector<LockedPackage>& packages);
// The other way, strict; errors carry the place where the value has one.
Result<std::vector<LockedPackage>> packages_from_value(const Value& list);
Result<LockedPackage> package_from_value(const Value& table);

// By name, then version, then architecture: the order of lock files and of unpacking.
void sort_packages(std::vector<LockedPackage>& packages);

}  // namespace orch::package
