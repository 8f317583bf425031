// Artifacts: what a step leaves in the store, and how it is named.
#pragma once

#include "hash/digest.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace orch::model {

// image: one EROFS file; tree: a directory; document: one JSON file; file: any other single file.
enum class ArtifactKind { image, tree, document, file };

std::string_view to_string(ArtifactKind kind);
std::optional<ArtifactKind> parse_artifact_kind(std::string_view text);

// The identity of an artifact in the store. For files: XXH3-128 of the bytes; for trees: of the canonical
// listing.
struct ArtifactRef {
  ArtifactKind kind = ArtifactKind::file;
  hash::Digest digest;
  friend bool operator==(const ArtifactRef&, const ArtifactRef&) = default;
};

// One named output of a step, with what was made for it.
struct OutputRecord {
  std::string name;
  ArtifactRef artifact;
  friend bool operator==(const OutputRecord&, const OutputRecord&) = default;
};

}  // namespace orch::model
