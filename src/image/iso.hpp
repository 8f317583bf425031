// An ISO 9660 image with Rock Ridge and zisofs as a tree of files, through libarchive. Payloads of type 1.
//
// libarchive reads archives from front to back, so the tree is listed once, and opening a file goes through
// the image again up to that file: right for a look at a few files, not for reading them all (extract_iso
// does that).
#pragma once

#include "image/file_tree.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace orch::image {

class IsoTree final : public FileTree {
 public:
  // Reads the directories. Corrupt on invalid names and on contradictions.
  static Result<std::unique_ptr<IsoTree>> open(std::shared_ptr<const RandomAccess> image);

  NodeId root() const override { return NodeId{0}; }
  Result<NodeInfo> stat(NodeId node) const override;
  Result<std::vector<DirEntry>> list(NodeId directory) const override;
  Result<std::string> readlink(NodeId symlink) const override;
  // At most 256 MiB: the content is held in memory.
  Result<std::unique_ptr<RandomAccess>> open(NodeId file) const override;

 private:
  struct Node {
    NodeInfo info;
    std::string path;
    std::string target;
    std::map<std::string, DirEntry> entries;  // directories
  };
  explicit IsoTree(std::shared_ptr<const RandomAccess> image) : image_(std::move(image)), nodes_(1) {}
  Result<> load();

  std::shared_ptr<const RandomAccess> image_;
  std::vector<Node> nodes_;  // by NodeId
};

}  // namespace orch::image
