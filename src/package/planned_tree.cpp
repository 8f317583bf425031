#include "package/planned_tree.hpp"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

namespace orch::package {

using base::ErrorKind;
using hash::EntryType;
using image::DirEntry;
using image::NodeId;
using image::NodeInfo;
using image::NodeType;

namespace {

NodeType node_type(EntryType type) {
  switch (type) {
    case EntryType::file:
      return NodeType::file;
    case EntryType::directory:
      return NodeType::directory;
    case EntryType::symlink:
      return NodeType::symlink;
  }
  return NodeType::file;
}

// A file's bytes, opened for as long as they are read.
class BlobAccess final : public image::RandomAccess {
 public:
  explicit BlobAccess(std::shared_ptr<image::FileAccess> file) : file_(std::move(file)) {}
  std::uint64_t size() const override { return file_->size(); }
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) const override {
    return file_->read_at(offset, out);
  }

 private:
  std::shared_ptr<image::FileAccess> file_;
};

}  // namespace

PlannedTree::PlannedTree(const MergedTree& plan, BlobPath blob_path) : blob_path_(std::move(blob_path)) {
  items_.push_back({});
  std::map<std::string, NodeId> directories = {{"", NodeId{0}}};
  std::map<std::pair<std::size_t, std::size_t>, NodeId> files;
  const auto place = [&](const std::string& path, NodeId node, NodeType type) {
    const std::size_t slash = path.rfind('/');
    const auto parent = directories.find(slash == std::string::npos ? "" : path.substr(0, slash));
    if (parent == directories.end()) return;
    items_[parent->second.value].children.push_back(
        {slash == std::string::npos ? path : path.substr(slash + 1), type, node});
    if (type == NodeType::directory) directories.emplace(path, node);
  };
  for (const auto& [path, node] : plan.nodes()) {
    NodeId id{items_.size()};
    if (node.type == EntryType::file) {
      const auto [known, is_first] = files.emplace(std::pair(node.package, node.blob.number), id);
      if (!is_first) {
        ++items_[known->second.value].links;
        place(path, known->second, NodeType::file);
        continue;
      }
    }
    items_.push_back({&node});
    place(path, id, node_type(node.type));
  }
  for (const SpecialEntry& special : plan.specials()) {
    if (plan.nodes().count(special.path) != 0) continue;
    items_.push_back({nullptr, &special});
    place(special.path, NodeId{items_.size() - 1}, special.type);
  }
  for (Item& item : items_) {
    std::stable_sort(item.children.begin(), item.children.end(),
                     [](const DirEntry& a, const DirEntry& b) { return a.name < b.name; });
    const auto same = [](const DirEntry& a, const DirEntry& b) { return a.name == b.name; };
    item.children.erase(std::unique(item.children.begin(), item.children.end(), same), item.children.end());
  }
}

Result<const PlannedTree::Item*> PlannedTree::item(NodeId node) const {
  if (node.value >= items_.size()) return base::fail(ErrorKind::internal, "no node of this tree");
  return &items_[node.value];
}

Result<NodeInfo> PlannedTree::stat(NodeId node) const {
  ORCH_TRY(const Item* const found, item(node));
  NodeInfo info;
  info.links = found->links;
  if (found->special != nullptr) {
    info.type = found->special->type;
    info.mode = 0600;
    info.device_major = found->special->device_major;
    info.device_minor = found->special->device_minor;
    return info;
  }
  info.type = NodeType::directory;
  info.mode = 0755;
  if (found->node == nullptr) return info;
  const MergedTree::Node& planned = *found->node;
  info.type = node_type(planned.type);
  info.mode = planned.mode | planned.set_id;
  if (planned.type == EntryType::file) info.size = planned.blob.size;
  if (planned.type == EntryType::symlink) info.size = planned.target.size();
  info.opaque = planned.marks.opaque;
  info.whiteout_mark = planned.marks.whiteout;
  info.redirected = planned.marks.redirected;
  return info;
}

Result<std::vector<DirEntry>> PlannedTree::list(NodeId directory) const {
  ORCH_TRY(const Item* const found, item(directory));
  return found->children;
}

Result<std::string> PlannedTree::readlink(NodeId symlink) const {
  ORCH_TRY(const Item* const found, item(symlink));
  if (found->node == nullptr || found->node->type != EntryType::symlink)
    return base::fail(ErrorKind::internal, "no symbolic link of this tree");
  return found->node->target;
}

Result<std::unique_ptr<image::RandomAccess>> PlannedTree::open(NodeId file) const {
  ORCH_TRY(const Item* const found, item(file));
  if (found->node == nullptr || found->node->type != EntryType::file)
    return base::fail(ErrorKind::internal, "no file of this tree");
  ORCH_TRY(auto opened, image::FileAccess::open(blob_path_(found->node->package, found->node->blob.number)));
  return std::unique_ptr<image::RandomAccess>(std::make_unique<BlobAccess>(std::move(opened)));
}

}  // namespace orch::package
