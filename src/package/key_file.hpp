// OpenPGP key files, armoured or not: whose keys are in them. Checks no signature.
//
// Form: RFC 4880 and RFC 9580, packets of which only public keys (tag 6) are looked into.
#pragma once

#include "base/result.hpp"
#include "package/source.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace orch::package {

// The fingerprints of the primary keys, in order: upper case hexadecimal, 40 digits (version 4) or 64
// (later). Errors of kind corrupt name the file; a file without any key is one.
Result<std::vector<std::string>> key_fingerprints(const std::string& path, std::string_view bytes);

// Holds the source's key file against its fingerprints: each must be that of a key in the file. Nothing to do
// where the source names none.
Result<> check_key_file(const Source& source);

}  // namespace orch::package
