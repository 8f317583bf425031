// OpenPGP key files, armoured or not: whose keys are in them. Checks no signature.
//
// Package managers and gpg do not agree with each other where a key file begins: some look for armour anywhere in it. So
// the file itself is handed to none of them: what they get is written anew from the packets that were looked at here.
//
// Form: RFC 4880 and RFC 9580, packets of which only public keys (tag 6) are looked into.
#pragma once

#include "base/result.hpp"
#include "package/source.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace orch::package {

// A primary key with its user ids, subkeys and signatures.
struct Key {
  std::string fingerprint;  // upper case hexadecimal, 40 digits (version 4) or 64 (later)
  std::string packets;
};

// The keys of a file, in order: of a binary one, or of one or more armoured blocks. Errors of kind corrupt name the
// file; a file without any key is one, and one that another reader could read otherwise.
Result<std::vector<Key>> parse_key_file(const std::string& path, std::string_view bytes);

// One binary file of the keys, as apt takes it.
std::string binary_keys(const std::vector<Key>& keys);
// A block for each key, as rpmkeys and dnf take it.
std::string armoured_keys(const std::vector<Key>& keys);

// The keys of the source's key file, held against its fingerprints, if it names some: all keys must be among these. A
// key that is listed and not in the file is no error: key files of different age go with one profile. Errors of kind
// profile name the key that is one too many. None for a source without a key file.
Result<std::vector<Key>> read_key_file(const Source& source);

}  // namespace orch::package
