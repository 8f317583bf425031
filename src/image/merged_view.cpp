#include "image/merged_view.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace orch::image {

using base::ErrorKind;
using base::fail;

std::size_t MergedView::PlaceHash::operator()(const Place& place) const {
  std::size_t out = place.sources.size();
  for (const SourceNode& source : place.sources) out = out * 31 + hash_of(source);
  return out;
}

Result<std::unique_ptr<MergedView>> MergedView::make(std::vector<Layer> bottom_first, OneLayer one) {
  if (bottom_first.empty())
    return fail(ErrorKind::usage, "a merged view needs at least one layer, none was given");
  const bool overlay = bottom_first.size() > 1 || one == OneLayer::overlay;
  std::unique_ptr<MergedView> view(new MergedView(std::move(bottom_first), overlay));
  // The kernel takes the roots of all layers, whatever marks they have.
  Place root;
  for (std::size_t layer = view->layers_.size(); layer-- > 0;)
    root.sources.push_back({layer, view->layers_[layer].tree->root()});
  view->nodes_.intern(root);
  return view;
}

Result<> MergedView::refuse_redirect(const Place& place) const {
  if (!place.redirected) return {};
  return fail(ErrorKind::unsupported,
              fmt::format("layer '{}' has a node with an overlayfs redirect or metacopy mark, which kernels "
                          "treat differently",
                          base::printable(layers_[place.sources.front().tree].name)),
              "make the layer's image without extended attributes (mkfs.erofs -x-1)");
}

Result<NodeInfo> MergedView::stat(NodeId node) const {
  const Place& place = nodes_.key(node);
  ORCH_CHECK(refuse_redirect(place));
  ORCH_TRY(NodeInfo info, tree(place.sources.front()).stat(place.sources.front().node));
  if (!overlay_) return info;
  if (place.sources.size() > 1) info.links = 1;
  info.opaque = false;  // for whoever puts this view below something else, the marks have done their work
  return info;
}

Result<bool> MergedView::decide(Decision& decision, std::size_t layer, const DirEntry& entry) const {
  const bool first = decision.place.sources.empty();
  const FileTree& from = *layers_[layer].tree;
  if (!overlay_ || (!first && entry.type != NodeType::directory)) {
    if (first) decision = {entry.type, false, {{{layer, entry.node}}}};
    return false;
  }
  NodeInfo info;
  if (entry.type == NodeType::directory || entry.type == NodeType::char_device ||
      entry.type == NodeType::file) {
    ORCH_TRY(info, from.stat(entry.node));
  }
  if (first && is_whiteout(info)) {
    decision.hidden = true;
    return false;
  }
  if (first) decision.type = entry.type;
  decision.place.sources.push_back({layer, entry.node});
  decision.place.redirected |= info.redirected;
  return entry.type == NodeType::directory && !info.opaque;
}

std::optional<DirEntry> MergedView::shown(const Decision& decision, std::string_view name) const {
  if (decision.hidden || decision.place.sources.empty()) return std::nullopt;
  return DirEntry{std::string(name), decision.type, nodes_.intern(decision.place)};
}

Result<std::vector<DirEntry>> MergedView::list(NodeId directory) const {
  const Place& place = nodes_.key(directory);
  ORCH_CHECK(refuse_redirect(place));
  struct Found {
    DirEntry entry;
    std::size_t layer;
  };
  std::vector<Found> found;
  for (const SourceNode& source : place.sources) {
    ORCH_TRY(std::vector<DirEntry> entries, tree(source).list(source.node));
    for (DirEntry& entry : entries) found.push_back({std::move(entry), source.tree});
  }
  // Stable: of equal names, the topmost layer's comes first.
  if (place.sources.size() > 1)
    std::stable_sort(found.begin(), found.end(),
                     [](const Found& a, const Found& b) { return a.entry.name < b.entry.name; });
  std::vector<DirEntry> out;
  for (auto at = found.begin(); at != found.end();) {
    const std::string& name = at->entry.name;
    Decision decision;
    bool more = true;
    auto next = at;
    for (; next != found.end() && next->entry.name == name; ++next)
      if (more) {
        ORCH_TRY(more, decide(decision, next->layer, next->entry));
      }
    if (auto entry = shown(decision, name)) out.push_back(std::move(*entry));
    at = next;
  }
  return out;
}

Result<std::optional<DirEntry>> MergedView::lookup(NodeId directory, std::string_view name) const {
  const Place& place = nodes_.key(directory);
  ORCH_CHECK(refuse_redirect(place));
  Decision decision;
  for (const SourceNode& source : place.sources) {
    ORCH_TRY(const std::optional<DirEntry> entry, tree(source).lookup(source.node, name));
    if (!entry) continue;
    ORCH_TRY(const bool more, decide(decision, source.tree, *entry));
    if (!more) break;
  }
  return shown(decision, name);
}

Result<std::string> MergedView::readlink(NodeId symlink) const {
  const SourceNode& source = nodes_.key(symlink).sources.front();
  return tree(source).readlink(source.node);
}

Result<std::unique_ptr<RandomAccess>> MergedView::open(NodeId file) const {
  const Place& place = nodes_.key(file);
  ORCH_CHECK(refuse_redirect(place));
  const SourceNode& source = place.sources.front();
  return tree(source).open(source.node);
}

std::size_t MergedView::layer_of(NodeId node) const {
  return nodes_.key(node).sources.front().tree;
}

std::vector<std::size_t> MergedView::layers_of(NodeId node) const {
  std::vector<std::size_t> out;
  for (const SourceNode& source : nodes_.key(node).sources) out.push_back(source.tree);
  return out;
}

NodeId MergedView::node_in_layer(NodeId node) const {
  return nodes_.key(node).sources.front().node;
}

}  // namespace orch::image
