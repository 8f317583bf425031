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

Result<const Facts*> StackFiles::facts(NodeId node, std::string_view) {
  const Place place = place_of(node);
  return place.index == nullptr ? nullptr : place.index->facts(place.node);
}

Result<const LoaderLayout*> StackFiles::layout(NodeId node, std::string_view) {
  const Place place = place_of(node);
  return place.index == nullptr ? nullptr : place.index->layout(place.node);
}

}  // namespace orch::elf
