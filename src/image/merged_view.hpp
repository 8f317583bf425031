// The merged view of a stack: what overlayfs shows, mounted read-only with lowerdir=top:…:bottom and no other
// option, as muvm does. Design: docs/design/merged-view.md; the truth is
// tests/integration/test_merged_view.py.
#pragma once

#include "image/file_tree.hpp"
#include "image/node_table.hpp"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orch::image {

struct Layer {
  std::string name;  // for messages and reports
  std::shared_ptr<const FileTree> tree;
};

// What a stack of one layer is. muvm makes a symlink to that layer's mount: no overlay, so whiteouts are
// shown as the devices that they are and no mark means anything. With `overlay`, the layer is shown as it
// would be in an overlay (above an empty one, or below one that is still to come).
enum class OneLayer { bare, overlay };

// Rules, all from overlayfs: the topmost entry of a name decides; a directory is united with the directories
// right below it, until a layer has something else there, a whiteout, or the directory is opaque; a whiteout
// hides and is not shown, wherever it stands; a directory that is united has one link.
// What differs on purpose: whiteouts are left out of listings, too, where the kernel lists those of a
// directory that only one layer has (lookups then find nothing). Nodes with a redirect or metacopy mark are
// listed, but stat, list and open refuse them (kind unsupported): whether the kernel follows is a matter of
// how it was built. Safe for several threads, if all layers are.
class MergedView final : public FileTree {
 public:
  // Bottom layer first. Errors: no layer at all.
  static Result<std::unique_ptr<MergedView>> make(std::vector<Layer> bottom_first,
                                                  OneLayer one = OneLayer::bare);

  NodeId root() const override { return NodeId{0}; }
  Result<NodeInfo> stat(NodeId node) const override;
  Result<std::vector<DirEntry>> list(NodeId directory) const override;
  Result<std::optional<DirEntry>> lookup(NodeId directory, std::string_view name) const override;
  Result<std::string> readlink(NodeId symlink) const override;
  Result<std::unique_ptr<RandomAccess>> open(NodeId file) const override;

  // Whether the rules above apply; false for a bare single layer.
  bool is_overlay() const { return overlay_; }
  const std::vector<Layer>& layers() const { return layers_; }
  // Index into layers() of what the node is: the layer of a file, the topmost of a directory (whose mode,
  // owner and times it shows).
  std::size_t layer_of(NodeId node) const;
  // Every layer that a directory shows entries of, topmost first; one element for anything else.
  std::vector<std::size_t> layers_of(NodeId node) const;
  // The node within its layer (layer_of).
  NodeId node_in_layer(NodeId node) const;

 private:
  // What a node of the view is made of.
  struct Place {
    std::vector<SourceNode> sources{};  // topmost first; only directories have more than one
    bool redirected = false;            // one of them has a mark that we refuse
    friend bool operator==(const Place&, const Place&) = default;
  };
  struct PlaceHash {
    std::size_t operator()(const Place& place) const;
  };
  // What one name is, as the layers are asked from the top.
  struct Decision {
    NodeType type = NodeType::file;
    bool hidden = false;
    bool redirected = false;
    std::optional<SourceNode> top{};
    std::vector<SourceNode> below{};  // of a directory that is united
  };
  // What a node is made of; refers to `one` or to the table.
  struct Sources {
    std::span<const SourceNode> all{};
    bool redirected = false;
    const SourceNode& front() const { return all.front(); }
  };
  // Nodes of one layer, which most are, say so themselves: below the ids of BoundTree.
  using Packed = PackedId<15, 40>;

  MergedView(std::vector<Layer> layers, bool overlay) : layers_(std::move(layers)), overlay_(overlay) {}
  const FileTree& tree(const SourceNode& source) const { return *layers_[source.tree].tree; }
  // Takes what the next layer has of the name; whether the layers below still matter.
  Result<bool> decide(Decision& decision, std::size_t layer, const DirEntry& entry) const;
  std::optional<DirEntry> shown(Decision decision, std::string name) const;
  Sources sources(NodeId node, SourceNode& one) const;
  Result<> refuse_redirect(const Sources& sources) const;

  std::vector<Layer> layers_;
  bool overlay_;
  mutable NodeTable<Place, PlaceHash> nodes_;
};

}  // namespace orch::image
