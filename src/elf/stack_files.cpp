#include "elf/stack_files.hpp"

#include <utility>

namespace orch::elf {

using image::NodeId;

Result<std::unique_ptr<StackFiles>> StackFiles::make(const std::vector<IndexedLayer>& layers,
                                                     std::shared_ptr<const Index> app,
                                                     const std::string& appdir) {
  std::unique_ptr<StackFiles> files(new StackFiles());
  std::vector<image::Layer> stack;
  for (const IndexedLayer& layer : layers) stack.push_back({layer.name, layer.index});
  ORCH_TRY(files->view_, image::MergedView::make(std::move(stack)));
  ORCH_TRY(files->tree_, image::BoundTree::make(files->view_, {{appdir, app}}));
  files->layers_ = layers;
  files->app_ = std::move(app);
  files->appdir_ = appdir;
  return files;
}

StackFiles::Place StackFiles::place_of(NodeId node) const {
  const std::optional<image::SourceNode> source = tree_->source_of(node);
  if (!source) return {};
  if (source->tree != 0) return {app_.get(), source->node, layers_.size()};
  const std::size_t layer = view_->layer_of(source->node);
  return {layers_[layer].index.get(), view_->node_in_layer(source->node), layer};
}

std::string StackFiles::layer_of(NodeId node) const {
  const Place place = place_of(node);
  return place.layer == layers_.size() || place.index == nullptr ? "app" : layers_[place.layer].name;
}

std::vector<std::shared_ptr<const Index>> StackFiles::indexes() const {
  std::vector<std::shared_ptr<const Index>> out;
  for (const IndexedLayer& layer : layers_) out.push_back(layer.index);
  out.push_back(app_);
  return out;
}

StackFacts::StackFacts(const StackFiles& files) : files_(files) {
  for (std::shared_ptr<const Index>& index : files.indexes())
    indexed_.emplace_back(std::move(index), objects_);
}

Result<const Object*> StackFacts::object(NodeId node, std::string_view) {
  const StackFiles::Place place = files_.place_of(node);
  if (place.index == nullptr) return nullptr;
  return indexed_[place.layer].object(place.node);
}

Result<const LoaderLayout*> StackFacts::layout(NodeId node, std::string_view) {
  const StackFiles::Place place = files_.place_of(node);
  if (place.index == nullptr) return nullptr;
  const auto [known, is_new] = layouts_.try_emplace(node.value);
  if (is_new) {
    ORCH_TRY(known->second, place.index->layout(place.node));
  }
  return known->second ? &*known->second : nullptr;
}

}  // namespace orch::elf
