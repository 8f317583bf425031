// Trees shown at directories of a base tree, as bind mounts would: the application at its absolute path in
// the merged view, so that links and libraries resolve across both.
#pragma once

#include "image/file_tree.hpp"
#include "image/node_table.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orch::image {

struct Bind {
  std::string path;  // absolute, not "/"
  std::shared_ptr<const FileTree> tree;
};

// A bind's path is found as mount(2) would find it: links of the base are followed, as in a root file system,
// and later binds may lie in earlier ones. Directories that do not exist are made up (mode 0755, root's, time
// 0); what is in their way and no directory (a file, a device) is hidden. The bound directory hides all that
// the base has there. Absolute links in a bound tree lead from the root of the whole. Safe for several
// threads, if all trees are.
class BoundTree final : public FileTree {
 public:
  // Errors: a path that is relative or "/", that runs in circles, or that needs ".." out of a directory that
  // does not exist.
  static Result<std::unique_ptr<BoundTree>> make(std::shared_ptr<const FileTree> base,
                                                 const std::vector<Bind>& binds);

  NodeId root() const override { return root_; }
  Result<NodeInfo> stat(NodeId node) const override;
  Result<std::vector<DirEntry>> list(NodeId directory) const override;
  Result<std::optional<DirEntry>> lookup(NodeId directory, std::string_view name) const override;
  Result<std::string> readlink(NodeId symlink) const override;
  Result<std::unique_ptr<RandomAccess>> open(NodeId file) const override;

  // Where a node is from: tree 0 is the base, tree N the Nth bind. Nothing for a directory that was made up.
  std::optional<SourceNode> source_of(NodeId node) const;
  // Where each bind lies when links are followed, without leading '/', in the order of the binds.
  const std::vector<std::string>& places() const { return places_; }

 private:
  // A directory on the way to a bind, or a bind's own: what it shows besides what it covers.
  struct Junction {
    std::optional<SourceNode> covers;
    std::map<std::string, std::size_t, std::less<>> children{};  // name to index in junctions_
  };
  // A node of one of the trees, or a junction (tree k_junction).
  static constexpr std::size_t k_junction = ~std::size_t{0};
  struct KeyHash {
    std::size_t operator()(const SourceNode& key) const { return hash_of(key); }
  };
  using Packed = PackedId<7, 56>;

  BoundTree() = default;
  Result<> bind(const std::string& path, std::size_t tree);
  std::size_t add_junction(std::optional<SourceNode> covers);
  Result<std::vector<std::string>> place_of(const std::string& path) const;
  const Junction* junction(NodeId node) const;
  // An entry of one of the trees, with its number here. Junctions come before: their parents name them.
  DirEntry wrap(std::size_t tree, DirEntry entry) const;
  NodeId junction_id(std::size_t index) const { return nodes_.intern({k_junction, NodeId{index}}); }
  SourceNode key(NodeId node) const {
    const std::optional<SourceNode> packed = Packed::unpack(node);
    return packed ? *packed : nodes_.key(node);
  }

  std::vector<std::shared_ptr<const FileTree>> trees_;
  std::vector<Junction> junctions_;
  std::vector<std::string> places_;
  NodeId root_;
  mutable NodeTable<SourceNode, KeyHash> nodes_;
};

}  // namespace orch::image
