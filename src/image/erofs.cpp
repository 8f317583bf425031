#include "image/erofs.hpp"

#include "image/erofs_directory.hpp"

#include <fmt/format.h>

namespace orch::image {

using base::ErrorKind;
using base::fail;

namespace {

constexpr std::uint64_t k_longest_target = 4095;

// The contents of an inode that the superblock names. It lives in the image itself, and what it may use is
// opened after it, so that it cannot refer to itself.
Result<std::unique_ptr<RandomAccess>> open_hidden(const ErofsVolume& volume, std::uint64_t nid,
                                                  std::string_view name) {
  const auto open = [&]() -> Result<std::unique_ptr<RandomAccess>> {
    ORCH_TRY(const ErofsInode inode, volume.inode(nid));
    if (inode.info.type != NodeType::file) return bad_erofs_inode(nid, "it is no file");
    return open_erofs_data(volume, inode);
  };
  Result<std::unique_ptr<RandomAccess>> data = open();
  if (!data)
    return fail(std::move(data).error().while_doing(fmt::format("opening the {} of the EROFS image", name)));
  return data;
}

}  // namespace

Result<std::unique_ptr<ErofsTree>> ErofsTree::open(std::shared_ptr<const RandomAccess> image) {
  ORCH_TRY(std::optional<ErofsSuper> super, read_erofs_super(*image));
  if (!super)
    return fail(ErrorKind::corrupt, "there is no EROFS superblock", "give an image made by mkfs.erofs");
  ORCH_CHECK(check_erofs_super(*image, *super));
  ORCH_TRY(const ErofsAlgorithms algorithms, read_erofs_algorithms(*image, *super));
  auto volume = std::make_unique<ErofsVolume>(std::move(image), *std::move(super), algorithms);
  if (const std::uint64_t nid = volume->super.metabox_nid; nid != 0) {
    ORCH_TRY(volume->metabox, open_hidden(*volume, nid, "metabox"));
    volume->metabox_pages = std::make_unique<PageCache>(*volume->metabox);
  }
  if (const std::uint64_t nid = volume->super.packed_nid; nid != 0) {
    ORCH_TRY(auto packed, open_hidden(*volume, nid, "packed inode"));
    volume->packed = std::move(packed);
  }
  ORCH_TRY(std::vector<ErofsPrefix> prefixes, read_erofs_prefixes(*volume));
  auto tree = std::unique_ptr<ErofsTree>(new ErofsTree(std::move(volume), std::move(prefixes)));
  ORCH_CHECK(tree->typed(tree->root(), NodeType::directory));
  return tree;
}

Result<ErofsInode> ErofsTree::typed(NodeId node, NodeType type) const {
  ORCH_TRY(ErofsInode inode, volume_->inode(node.value));
  if (inode.info.type != type)
    return bad_erofs_inode(
        node.value, fmt::format("it is a {}, expected a {}", to_string(inode.info.type), to_string(type)));
  return inode;
}

Result<NodeInfo> ErofsTree::stat(NodeId node) const {
  ORCH_TRY(ErofsInode inode, volume_->inode(node.value));
  if (inode.info.type == NodeType::directory) {
    ORCH_TRY(inode.info.opaque, is_erofs_opaque(*volume_, prefixes_, inode));
  }
  return inode.info;
}

Result<std::vector<DirEntry>> ErofsTree::list(NodeId directory) const {
  ORCH_TRY(const ErofsInode inode, typed(directory, NodeType::directory));
  return list_erofs_directory(*volume_, inode);
}

Result<std::optional<DirEntry>> ErofsTree::lookup(NodeId directory, std::string_view name) const {
  ORCH_TRY(const ErofsInode inode, typed(directory, NodeType::directory));
  return find_erofs_entry(*volume_, inode, name);
}

Result<std::string> ErofsTree::readlink(NodeId symlink) const {
  ORCH_TRY(const ErofsInode inode, typed(symlink, NodeType::symlink));
  if (inode.size == 0 || inode.size > k_longest_target)
    return bad_erofs_inode(symlink.value, fmt::format("a link target of {} bytes", inode.size));
  ORCH_TRY(const std::unique_ptr<RandomAccess> data, open_erofs_data(*volume_, inode));
  ORCH_TRY(std::string target, read_exact(*data, 0, static_cast<std::size_t>(inode.size)));
  if (target.find('\0') != std::string::npos)
    return bad_erofs_inode(symlink.value, "its link target has a NUL byte");
  return target;
}

Result<std::unique_ptr<RandomAccess>> ErofsTree::open(NodeId file) const {
  ORCH_TRY(const ErofsInode inode, typed(file, NodeType::file));
  return open_erofs_data(*volume_, inode);
}

}  // namespace orch::image
