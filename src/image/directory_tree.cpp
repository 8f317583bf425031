#include "image/directory_tree.hpp"

#include "base/text.hpp"
#include "sys/file.hpp"

#include <climits>
#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <dirent.h>

namespace orch::image {

using base::errno_error;
using base::fail;

namespace {

NodeInfo node_info(const struct stat& from) {
  NodeInfo info;
  info.type = type_of_mode(from.st_mode).value_or(NodeType::file);
  info.mode = from.st_mode & 07777;
  if (info.type == NodeType::file || info.type == NodeType::symlink)
    info.size = static_cast<std::uint64_t>(from.st_size);
  info.mtime = from.st_mtim.tv_sec;
  info.mtime_nsec = static_cast<std::uint32_t>(from.st_mtim.tv_nsec);
  info.uid = from.st_uid;
  info.gid = from.st_gid;
  info.links = static_cast<std::uint32_t>(from.st_nlink);
  if (info.type == NodeType::char_device || info.type == NodeType::block_device) {
    info.device_major = major(from.st_rdev);
    info.device_minor = minor(from.st_rdev);
  }
  return info;
}

// One extended attribute of overlayfs: sets what it says in `info`. `path` is not followed.
void apply_mark(const std::string& path, const std::string& attribute, std::string_view mark,
                NodeInfo& info) {
  if (mark == "opaque" && info.type == NodeType::directory) {
    std::array<char, 1> value{};
    info.opaque |=
        ::lgetxattr(path.c_str(), attribute.c_str(), value.data(), value.size()) == 1 && value[0] == 'y';
  }
  if (mark == "whiteout") info.whiteout_mark |= info.type == NodeType::file;
  if (mark == "redirect" || mark == "metacopy") info.redirected = true;
}

// A file system without extended attributes has no marks; neither has a file that went away meanwhile.
void read_marks(const std::string& path, OverlayMarks marks, NodeInfo& info) {
  if (marks == OverlayMarks::none) return;
  if (info.type != NodeType::directory && info.type != NodeType::file) return;
  const ssize_t wanted = ::llistxattr(path.c_str(), nullptr, 0);
  if (wanted <= 0) return;
  std::string names(static_cast<std::size_t>(wanted), '\0');
  const ssize_t size = ::llistxattr(path.c_str(), names.data(), names.size());
  if (size <= 0) return;
  names.resize(static_cast<std::size_t>(size));
  constexpr std::string_view k_trusted = "trusted.overlay.";
  constexpr std::string_view k_user = "user.overlay.";
  for (const std::string_view name : base::split(names, '\0')) {
    if (marks != OverlayMarks::user && name.starts_with(k_trusted))
      apply_mark(path, std::string(name), name.substr(k_trusted.size()), info);
    if (marks != OverlayMarks::trusted && name.starts_with(k_user))
      apply_mark(path, std::string(name), name.substr(k_user.size()), info);
  }
}

}  // namespace

Result<std::unique_ptr<DirectoryTree>> DirectoryTree::open(const std::string& path, OverlayMarks marks) {
  ORCH_TRY(sys::Fd root, sys::open_file(path, O_RDONLY | O_DIRECTORY));
  struct stat info {};
  if (::fstat(root.get(), &info) != 0) return fail(errno_error(errno, "look at", path));
  std::unique_ptr<DirectoryTree> tree(new DirectoryTree(std::move(root), path, marks));
  tree->nodes_[0].info = node_info(info);
  read_marks(fmt::format("/proc/self/fd/{}/.", tree->root_.get()), marks, tree->nodes_[0].info);
  tree->by_inode_[{info.st_dev, info.st_ino}] = 0;
  return tree;
}

Result<NodeInfo> DirectoryTree::stat(NodeId node) const {
  return nodes_.at(node.value).info;
}

Result<std::vector<DirEntry>> DirectoryTree::list(NodeId directory) const {
  const std::string path = nodes_.at(directory.value).path;
  const int fd = ::openat(root_.get(), path.empty() ? "." : path.c_str(),
                          O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return fail(errno_error(errno, "open directory", path_ + "/" + path));
  const auto close = [](DIR* stream) { ::closedir(stream); };
  const std::unique_ptr<DIR, decltype(close)> stream(::fdopendir(fd), close);
  if (!stream) {
    const int error = errno;
    ::close(fd);
    return fail(errno_error(error, "read directory", path_ + "/" + path));
  }
  std::vector<DirEntry> out;
  errno = 0;
  while (const dirent* entry = ::readdir(stream.get())) {
    std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    std::string below = path.empty() ? name : path + "/" + name;
    struct stat info {};
    if (::fstatat(fd, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
      return fail(errno_error(errno, "look at", path_ + "/" + below));
    const NodeId node = number(std::move(below), info);
    out.push_back({std::move(name), type_of_mode(info.st_mode).value_or(NodeType::file), node});
    errno = 0;
  }
  if (errno != 0) return fail(errno_error(errno, "read directory", path_ + "/" + path));
  std::sort(out.begin(), out.end(), [](const DirEntry& a, const DirEntry& b) { return a.name < b.name; });
  return out;
}

Result<std::optional<DirEntry>> DirectoryTree::lookup(NodeId directory, std::string_view name) const {
  if (!is_valid_name(name)) return std::optional<DirEntry>();
  const std::string& path = nodes_.at(directory.value).path;
  std::string below = path.empty() ? std::string(name) : path + "/" + std::string(name);
  struct stat info {};
  if (::fstatat(root_.get(), below.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG) return std::optional<DirEntry>();
    return fail(errno_error(errno, "look at", path_ + "/" + below));
  }
  const NodeId node = number(std::move(below), info);
  return std::optional<DirEntry>(
      DirEntry{std::string(name), type_of_mode(info.st_mode).value_or(NodeType::file), node});
}

NodeId DirectoryTree::number(std::string path, const struct stat& info) const {
  const auto [known, is_new] = by_inode_.try_emplace({info.st_dev, info.st_ino}, nodes_.size());
  if (is_new) {
    nodes_.push_back({std::move(path), node_info(info)});
    Node& node = nodes_.back();
    read_marks(fmt::format("/proc/self/fd/{}/{}", root_.get(), node.path), marks_, node.info);
  }
  return NodeId{known->second};
}

Result<std::string> DirectoryTree::readlink(NodeId symlink) const {
  const std::string& path = nodes_.at(symlink.value).path;
  std::array<char, PATH_MAX> target{};
  const ssize_t size = ::readlinkat(root_.get(), path.c_str(), target.data(), target.size());
  if (size < 0) return fail(errno_error(errno, "read link", path_ + "/" + path));
  return std::string(target.data(), static_cast<std::size_t>(size));
}

Result<std::unique_ptr<RandomAccess>> DirectoryTree::open(NodeId file) const {
  const std::string& path = nodes_.at(file.value).path;
  sys::Fd fd(::openat(root_.get(), path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0) return fail(errno_error(errno, "open", path_ + "/" + path));
  return std::unique_ptr<RandomAccess>(std::make_unique<FileAccess>(
      std::move(fd), static_cast<std::uint64_t>(info.st_size), path_ + "/" + path));
}

}  // namespace orch::image
