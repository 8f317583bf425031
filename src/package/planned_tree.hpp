// A planned tree as a file tree, before anything of it is made: what the packages say, with the devices,
// set-uid bits and overlay marks that never reach the disk. The rules for layers are held against this.
#pragma once

#include "image/file_tree.hpp"
#include "package/merged_tree.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace orch::package {

// Where a file's bytes lie on disk.
using BlobPath = std::function<std::string(std::size_t package, std::size_t blob)>;

class PlannedTree final : public image::FileTree {
 public:
  // `plan` must outlive the tree. A special entry at the place of another entry is left out.
  PlannedTree(const MergedTree& plan, BlobPath blob_path);

  image::NodeId root() const override { return image::NodeId{0}; }
  Result<image::NodeInfo> stat(image::NodeId node) const override;
  Result<std::vector<image::DirEntry>> list(image::NodeId directory) const override;
  Result<std::string> readlink(image::NodeId symlink) const override;
  Result<std::unique_ptr<image::RandomAccess>> open(image::NodeId file) const override;

 private:
  struct Item {
    const MergedTree::Node* node = nullptr;  // nullptr: the root, or a special entry
    const SpecialEntry* special = nullptr;
    std::uint32_t links = 1;
    std::vector<image::DirEntry> children{};
  };
  Result<const Item*> item(image::NodeId node) const;

  BlobPath blob_path_;
  std::vector<Item> items_;
};

}  // namespace orch::package
