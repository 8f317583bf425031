#include "cli/base_facts.hpp"

#include "action/index_parts.hpp"
#include "image/os_release.hpp"
#include "package/source.hpp"
#include "sys/file.hpp"

#include <algorithm>
#include <utility>

namespace orch::cli {

using base::Value;

std::vector<std::string> image_layers_at_bottom(const model::Profile& profile) {
  std::vector<std::string> out;
  for (const Value& layer : profile.layers()) {
    const std::string kind = layer.string_or("kind", "");
    if (kind == "packages") return out;
    if (!model::is_made_of_stack(layer)) out.push_back(layer.string_or("name", ""));
  }
  return out;
}

std::vector<std::string> image_layers_below(const model::Profile& profile) {
  const bool any = std::any_of(profile.layers().begin(), profile.layers().end(),
                               [](const Value& layer) { return layer.string_or("kind", "") == "packages"; });
  return any ? image_layers_at_bottom(profile) : std::vector<std::string>();
}

std::string package_set_of(const std::vector<LayerIndex>& indexes) {
  hash::Sha256Hasher hasher;
  for (const LayerIndex& index : indexes) hasher.update(index.sha256);
  return hasher.finish().hex();
}

Result<BaseFacts> read_base_facts(const std::vector<LayerIndex>& indexes) {
  BaseFacts facts;
  std::vector<image::Layer> layers;
  for (const LayerIndex& index : indexes) {
    ORCH_TRY(std::shared_ptr<const image::FileTree> tree, action::read_index(index.path));
    if (tree == nullptr) continue;
    layers.push_back({index.layer, std::move(tree)});
  }
  if (layers.empty()) return facts;
  ORCH_TRY(facts.view, image::MergedView::make(std::move(layers), image::OneLayer::overlay));
  ORCH_TRY(const std::string text, image::os_release_of(*facts.view));
  facts.identity.distribution = package::os_release_field(text, "ID");
  facts.identity.release = package::os_release_field(text, "VERSION_ID");
  facts.identity.package_set = package_set_of(indexes);
  return facts;
}

}  // namespace orch::cli
