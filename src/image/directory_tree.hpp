// A directory on disk as a tree of files.
#pragma once

#include "image/file_tree.hpp"
#include "sys/fd.hpp"

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

struct stat;

namespace orch::image {

// Whose marks (opaque, whiteout, redirect, metacopy) count: overlayfs reads `trusted.overlay.…`, which only
// root sees, or, mounted with userxattr, `user.overlay.…`.
enum class OverlayMarks { none, trusted, user, any };

// Files may be opened and read by several threads at once, while nobody calls list() or lookup().
class DirectoryTree final : public FileTree {
 public:
  static Result<std::unique_ptr<DirectoryTree>> open(const std::string& path,
                                                     OverlayMarks marks = OverlayMarks::any);

  NodeId root() const override { return NodeId{0}; }
  Result<NodeInfo> stat(NodeId node) const override;
  Result<std::vector<DirEntry>> list(NodeId directory) const override;
  // One call of the system, not one for each entry of the directory.
  Result<std::optional<DirEntry>> lookup(NodeId directory, std::string_view name) const override;
  Result<std::string> readlink(NodeId symlink) const override;
  Result<std::unique_ptr<RandomAccess>> open(NodeId file) const override;

 private:
  struct Node {
    std::string path;  // relative to the root
    NodeInfo info;
  };
  NodeId number(std::string path, const struct stat& info) const;
  DirectoryTree(sys::Fd root, std::string path, OverlayMarks marks)
      : root_(std::move(root)), path_(std::move(path)), marks_(marks), nodes_(1) {}

  sys::Fd root_;
  std::string path_;
  OverlayMarks marks_;
  // Nodes get their number when they are listed first; names of one inode share it.
  mutable std::vector<Node> nodes_;
  mutable std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint64_t> by_inode_;
};

}  // namespace orch::image
