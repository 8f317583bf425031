// What an apt source can do: turn names into an exact closure, say where archives lie, and bring them.
#pragma once

#include "base/result.hpp"
#include "package/apt_root.hpp"
#include "package/locked_package.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace orch::package {

// A line of `apt-get --print-uris`: 'URI' NAME_VERSION_ARCH.deb SIZE SHA256:HEX.
struct AptUri {
  std::string uri;
  LockedPackage package;  // path and reason are empty
};
Result<std::vector<AptUri>> parse_print_uris(std::string_view text);

// The closure of `names` (plain package names, or NAME=VERSION) in an empty system, without recommended
// packages, sorted. The lists must be there. Errors: unknown package (with the nearest name), no candidate,
// contradiction.
Result<std::vector<LockedPackage>> resolve_packages(const AptRoot& root,
                                                    const std::vector<std::string>& names);

struct Download {
  LockedPackage package;
  std::string file;  // where to put it; its directory exists
};

// Brings the archives. Their bytes are not verified here: the caller holds each against the lock. Error
// naming the first package that the source has no more.
Result<> download_packages(const AptRoot& root, const std::vector<Download>& wanted);

}  // namespace orch::package
