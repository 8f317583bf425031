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

// The bytes of the source's key file, held against its fingerprints: all keys in it must be among these. A key that
// is listed and not in the file is no error: key files of different age go with one profile. Errors of kind profile
// name the key that is one too many.
Result<std::string> read_key_file(const Source& source);

// The same without the bytes. Nothing to do where the source names no fingerprints.
Result<> check_key_file(const Source& source);

}  // namespace orch::package
