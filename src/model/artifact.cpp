#include "model/artifact.hpp"

namespace orch::model {

std::string_view to_string(ArtifactKind kind) {
  switch (kind) {
    case ArtifactKind::image:
      return "image";
    case ArtifactKind::tree:
      return "tree";
    case ArtifactKind::document:
      return "document";
    case ArtifactKind::file:
      return "file";
  }
  return "file";
}

std::optional<ArtifactKind> parse_artifact_kind(std::string_view text) {
  for (const ArtifactKind kind :
       {ArtifactKind::image, ArtifactKind::tree, ArtifactKind::document, ArtifactKind::file})
    if (to_string(kind) == text) return kind;
  return std::nullopt;
}

}  // namespace orch::model
