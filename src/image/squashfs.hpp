// A SquashFS payload as a tree of files.
#pragma once

#include "image/file_tree.hpp"
#include "image/squashfs_blocks.hpp"
#include "image/squashfs_meta.hpp"

#include <memory>

namespace orch::image {

class SquashfsTree final : public FileTree {
 public:
  // `payload` begins with the superblock. Reads the superblock only.
  static Result<std::unique_ptr<SquashfsTree>> open(std::shared_ptr<const RandomAccess> payload);

  const SquashfsSuper& super() const { return meta_->super(); }
  NodeId root() const override { return NodeId{meta_->super().root_inode}; }
  Result<NodeInfo> stat(NodeId node) const override;
  Result<std::vector<DirEntry>> list(NodeId directory) const override;
  Result<std::string> readlink(NodeId symlink) const override;
  Result<std::unique_ptr<RandomAccess>> open(NodeId file) const override;

 private:
  SquashfsTree(std::unique_ptr<SquashfsMeta> meta, SquashfsBlocks blocks);
  std::unique_ptr<SquashfsMeta> meta_;
  std::unique_ptr<SquashfsBlocks> blocks_;
  std::unique_ptr<FragmentCache> fragments_;
};

}  // namespace orch::image
