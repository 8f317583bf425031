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

MergedView::Sources MergedView::sources(NodeId node, SourceNode& one) const {
  if (const std::optional<SourceNode> packed = Packed::unpack(node)) {
    one = *packed;
    return {std::span(&one, 1), false};
  }
  const Place& place = nodes_.key(node);
  return {place.sources, place.redirected};
}

Result<> MergedView::refuse_redirect(const Sources& sources) const {
  if (!sources.redirected) return {};
  return fail(ErrorKind::unsupported,
              fmt::format("layer '{}' has a node with an overlayfs redirect or metacopy mark, which kernels "
                          "treat differently",
                          base::printable(layers_[sources.front().tree].name)),
              "make the layer's image without extended attributes (mkfs.erofs -x-1)");
}

Result<NodeInfo> MergedView::stat(NodeId node) const {
  SourceNode one;
  const Sources from = sources(node, one);
  ORCH_CHECK(refuse_redirect(from));
  ORCH_TRY(NodeInfo info, tree(from.front()).stat(from.front().node));
  if (!overlay_) return info;
  if (from.all.size() > 1) info.links = 1;
  info.opaque = false;  // for whoever puts this view below something else, the marks have done their work
  return info;
}

Result<bool> MergedView::decide(Decision& decision, std::size_t layer, const DirEntry& entry) const {
  const bool first = !decision.top;
  const FileTree& from = *layers_[layer].tree;
  if (!overlay_ || (!first && entry.type != NodeType::directory)) {
    if (first) {
      decision.type = entry.type;
      decision.top = SourceNode{layer, entry.node};
    }
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
  const SourceNode source{layer, entry.node};
  if (first) {
    decision.type = entry.type;
    decision.top = source;
  } else {
    decision.below.push_back(source);
  }
  decision.redirected |= info.redirected;
  return entry.type == NodeType::directory && !info.opaque;
}

std::optional<DirEntry> MergedView::shown(Decision decision, std::string name) const {
  if (decision.hidden || !decision.top) return std::nullopt;
  const bool alone = decision.below.empty() && !decision.redirected;
  if (const std::optional<NodeId> packed = alone ? Packed::pack(*decision.top) : std::nullopt)
    return DirEntry{std::move(name), decision.type, *packed};
  decision.below.insert(decision.below.begin(), *decision.top);
  return DirEntry{std::move(name), decision.type,
                  nodes_.intern(Place{std::move(decision.below), decision.redirected})};
}

Result<std::vector<DirEntry>> MergedView::list(NodeId directory) const {
  SourceNode one;
  const Sources from = sources(directory, one);
  ORCH_CHECK(refuse_redirect(from));
  struct Found {
    DirEntry entry;
    std::size_t layer;
  };
  std::vector<Found> found;
  for (const SourceNode& source : from.all) {
    ORCH_TRY(std::vector<DirEntry> entries, tree(source).list(source.node));
    for (DirEntry& entry : entries) found.push_back({std::move(entry), source.tree});
  }
  // Stable: of equal names, the topmost layer's comes first.
  if (from.all.size() > 1)
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
    if (auto entry = shown(std::move(decision), std::move(at->entry.name))) out.push_back(std::move(*entry));
    at = next;
  }
  return out;
}

Result<std::optional<DirEntry>> MergedView::lookup(NodeId directory, std::string_view name) const {
  SourceNode one;
  const Sources from = sources(directory, one);
  ORCH_CHECK(refuse_redirect(from));
  Decision decision;
  for (const SourceNode& source : from.all) {
    ORCH_TRY(const std::optional<DirEntry> entry, tree(source).lookup(source.node, name));
    if (!entry) continue;
    ORCH_TRY(const bool more, decide(decision, source.tree, *entry));
    if (!more) break;
  }
  return shown(std::move(decision), std::string(name));
}

Result<std::string> MergedView::readlink(NodeId symlink) const {
  SourceNode one;
  const SourceNode source = sources(symlink, one).front();
  return tree(source).readlink(source.node);
}

Result<std::unique_ptr<RandomAccess>> MergedView::open(NodeId file) const {
  SourceNode one;
  const Sources from = sources(file, one);
  ORCH_CHECK(refuse_redirect(from));
  return tree(from.front()).open(from.front().node);
}

std::size_t MergedView::layer_of(NodeId node) const {
  SourceNode one;
  return sources(node, one).front().tree;
}

std::vector<std::size_t> MergedView::layers_of(NodeId node) const {
  std::vector<std::size_t> out;
  SourceNode one;
  for (const SourceNode& source : sources(node, one).all) out.push_back(source.tree);
  return out;
}

NodeId MergedView::node_in_layer(NodeId node) const {
  SourceNode one;
  return sources(node, one).front().node;
}

}  // namespace orch::image
