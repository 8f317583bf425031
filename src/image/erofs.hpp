// An EROFS image as a tree of files, read in place: nothing is mounted, and only what is asked for is
// decoded. docs/design/erofs-reader.md
#pragma once

#include "image/erofs_data.hpp"
#include "image/erofs_xattr.hpp"
#include "image/file_tree.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace orch::image {

// Thread-safe: several threads may call every function, and read what open() gave, at the same time, if that
// is so for the image's bytes (it is for FileAccess and MemoryAccess). A node's id is its nid.
class ErofsTree final : public FileTree {
 public:
  // Reads the superblock, checks its sum, and reads the indexes of the packed inode and the metabox. Errors:
  // corrupt, unsupported (features that are not known, data on further devices).
  static Result<std::unique_ptr<ErofsTree>> open(std::shared_ptr<const RandomAccess> image);

  const ErofsSuper& super() const { return volume_->super; }
  bool is_thread_safe() const override { return true; }
  NodeId root() const override { return NodeId{volume_->super.root_nid}; }
  Result<NodeInfo> stat(NodeId node) const override;
  Result<std::vector<DirEntry>> list(NodeId directory) const override;
  // Reads as many blocks of the directory as a binary search needs.
  Result<std::optional<DirEntry>> lookup(NodeId directory, std::string_view name) const override;
  Result<std::string> readlink(NodeId symlink) const override;
  Result<std::unique_ptr<RandomAccess>> open(NodeId file) const override;

 private:
  ErofsTree(std::unique_ptr<ErofsVolume> volume, std::vector<ErofsPrefix> prefixes)
      : volume_(std::move(volume)), prefixes_(std::move(prefixes)) {}
  Result<ErofsInode> typed(NodeId node, NodeType type) const;

  std::unique_ptr<ErofsVolume> volume_;
  std::vector<ErofsPrefix> prefixes_;
};

}  // namespace orch::image
