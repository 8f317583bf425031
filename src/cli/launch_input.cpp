#include "cli/launch_input.hpp"

namespace orch::cli {

using model::ArtifactKind;

Result<LaunchInput> input_of(std::string name, const std::vector<model::OutputRecord>& outputs,
                             std::size_t index, const store::Store& store) {
  const model::ArtifactRef& artifact = outputs[index].artifact;
  LaunchInput out{std::move(name), store.data_path(artifact), {}, {}};
  ORCH_TRY(out.sha256, store.sha256(artifact));
  if (artifact.kind != ArtifactKind::image) return out;
  for (const model::OutputRecord& other : outputs) {
    if (other.artifact.kind != ArtifactKind::document) continue;
    out.manifest.path = store.data_path(other.artifact);
    ORCH_TRY(out.manifest.sha256, store.sha256(other.artifact));
    break;
  }
  return out;
}

}  // namespace orch::cli
