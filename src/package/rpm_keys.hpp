// Signatures of RPM packages, checked by rpmkeys against a private key ring that holds a source's key file
// and nothing else.
#pragma once

#include "base/result.hpp"
#include "package/package_source.hpp"

#include <string>
#include <vector>

namespace orch::package {

// Every package must be signed by a key of the source's key file. With allow_unsigned, those without any
// signature are let through; those with one must still have the right one, if the source names a key file.
// `directory`: where the key ring may lie. Errors name the first package that is refused.
Result<> check_rpm_signatures(const Source& source, const Surroundings& around, const std::string& directory,
                              const std::vector<Download>& archives);

}  // namespace orch::package
