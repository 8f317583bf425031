// Signatures of RPM packages, checked by rpmkeys against a private key ring that holds a source's key file
// and nothing else.
//
// CACHE/downloads/signed/HEX, where HEX is an archive's SHA-256, says who has vouched for these bytes: a line with
// the SHA-256 of the keys (binary_keys) that rpmkeys found a right signature with. It speaks of bytes, not of a source, so
// that what one source let through unsigned is checked when another one takes it.
#pragma once

#include "base/result.hpp"
#include "package/package_source.hpp"

#include <string>
#include <vector>

namespace orch::package {

// Every package must be signed by a key of the source's key file. With allow_unsigned, those without any
// signature are let through; those with one must still have the right one, if the source names a key file.
// Nothing to do for other kinds than dnf: apt has checked the Release file, which has the SHA-256 of the lists,
// which have those of the packages; of folders and addresses the user named the bytes, and the lock pins them. The archives are what their SHA-256 say; those that the record knows are not checked again, and what is
// checked is recorded. `scratch`: an existing directory in which the key ring may lie. Errors name the first
// package that is refused.
Result<> check_rpm_signatures(const Source& source, const Surroundings& around, const std::string& scratch,
                              const std::vector<Download>& archives);

}  // namespace orch::package
