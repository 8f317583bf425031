// The manifest beside each artifact: what its data must be. Version 1:
// {"schema":"appimage-orch/artifact/1","kind","digest" (XXH3-128),"sha256","size" (bytes of all
// files),"boot_id",
//  and for trees
//  "files":[{"path","type":"file|directory|symlink","mode","size","xxh3","target","hard_link"}]}.
// `digest` and `sha256` are of the file's bytes, or of the tree's canonical listing (hash/tree.hpp). `mode`
// is what the tree means; on disk files lack the write bits and directories have u+rwx.
#pragma once

#include "base/result.hpp"
#include "hash/tree.hpp"
#include "model/artifact.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace orch::store {

using base::Result;

struct Manifest {
  model::ArtifactKind kind = model::ArtifactKind::file;
  hash::Digest digest;
  hash::Sha256 sha256;
  std::uint64_t size = 0;
  std::string boot_id;
  hash::TreeListing listing;  // trees only
};

Result<Manifest> manifest_of_tree(hash::TreeListing listing);
Result<Manifest> manifest_of_file(model::ArtifactKind kind, const std::string& path);

std::string write_manifest(const Manifest& manifest);
Result<Manifest> read_manifest(std::string_view text, std::string_view name);

// Takes the write bits from every file of a tree; directories get u+rwx.
Result<> make_read_only(const std::string& root, const hash::TreeListing& listing);

// Whether the data at `path` is what the manifest says.
Result<bool> data_holds(const Manifest& manifest, const std::string& path);

}  // namespace orch::store
