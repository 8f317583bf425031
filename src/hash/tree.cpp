// Listing, hashing and describing a directory tree. Relative to descriptors; no link is followed.
#include "hash/tree.hpp"

#include "base/parallel.hpp"
#include "base/text.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <map>
#include <utility>

namespace orch::hash {

namespace {

using base::errno_error;
using base::ErrorKind;
using base::fail;

constexpr std::size_t k_max_depth = 512;
constexpr std::string_view k_format_tag = "appimage-orch tree 1\n";

void put_u64(std::string& out, std::uint64_t number) {
  for (int shift = 0; shift < 64; shift += 8) out += static_cast<char>((number >> shift) & 0xFF);
}

void put_text(std::string& out, std::string_view text) {
  put_u64(out, text.size());
  out += text;
}

class OwnedFd {
 public:
  explicit OwnedFd(int fd) : fd_(fd) {}
  OwnedFd(const OwnedFd&) = delete;
  OwnedFd& operator=(const OwnedFd&) = delete;
  ~OwnedFd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

// The names of an open directory, sorted. Consumes `fd`.
Result<std::vector<std::string>> names_of(int fd, const std::string& path) {
  DIR* stream = ::fdopendir(fd);
  if (stream == nullptr) {
    const int error = errno;
    ::close(fd);
    return fail(errno_error(error, "read directory", path));
  }
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  const int error = errno;
  ::closedir(stream);
  if (error != 0) return fail(errno_error(error, "read directory", path));
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::string> read_link(int directory, const std::string& name, const std::string& path,
                              std::size_t size) {
  std::string target(std::max<std::size_t>(size, 255) + 1, '\0');
  const ssize_t got = ::readlinkat(directory, name.c_str(), target.data(), target.size());
  if (got < 0) return fail(errno_error(errno, "read link", path));
  if (static_cast<std::size_t>(got) == target.size())
    return fail(ErrorKind::io, "the link '" + base::printable(path) + "' changed while it was read");
  target.resize(static_cast<std::size_t>(got));
  return target;
}

struct Walk {
  std::string root;
  std::vector<TreeEntry> entries;
  std::map<std::pair<dev_t, ino_t>, std::vector<std::size_t>> linked;  // files with several names

  Result<> directory(int fd, const std::string& prefix, std::size_t depth);
  Result<> entry(int parent, const std::string& name, const std::string& path, std::size_t depth);
};

Result<> Walk::entry(int parent, const std::string& name, const std::string& path, std::size_t depth) {
  struct stat info {};
  if (::fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
    return fail(errno_error(errno, "stat", root + "/" + path));
  TreeEntry item;
  item.path = path;
  item.mode = info.st_mode & 0777;
  if (S_ISLNK(info.st_mode)) {
    ORCH_TRY(item.target, read_link(parent, name, root + "/" + path, static_cast<std::size_t>(info.st_size)));
    item.type = EntryType::symlink;
    item.mode = 0777;
    item.size = item.target.size();
    entries.push_back(std::move(item));
    return {};
  }
  if (S_ISREG(info.st_mode)) {
    item.size = static_cast<std::uint64_t>(info.st_size);
    if (info.st_nlink > 1) linked[{info.st_dev, info.st_ino}].push_back(entries.size());
    entries.push_back(std::move(item));
    return {};
  }
  if (!S_ISDIR(info.st_mode))
    return fail(ErrorKind::unsupported,
                "'" + base::printable(root + "/" + path) + "' is neither file, directory nor symbolic link",
                "remove it: devices, FIFOs and sockets cannot be part of a tree");
  item.type = EntryType::directory;
  entries.push_back(std::move(item));
  OwnedFd child(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (child.get() < 0) return fail(errno_error(errno, "open directory", root + "/" + path));
  return directory(child.release(), path + "/", depth + 1);
}

Result<> Walk::directory(int fd, const std::string& prefix, std::size_t depth) {
  OwnedFd own(fd);
  if (depth > k_max_depth)
    return fail(ErrorKind::unsupported, "'" + base::printable(root + "/" + prefix) + "' lies too deep",
                "trees of at most 512 levels can be listed");
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return fail(errno_error(errno, "open directory", root + "/" + prefix));
  ORCH_TRY(const std::vector<std::string> names, names_of(copy, root + "/" + prefix));
  for (const std::string& name : names) ORCH_CHECK(entry(own.get(), name, prefix + name, depth));
  return {};
}

Result<Digest> hash_file(int root_fd, const std::string& root, const TreeEntry& entry) {
  // The walk found real directories on the way; the tree is not expected to change under us.
  const OwnedFd file(::openat(root_fd, entry.path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY));
  if (file.get() < 0) return fail(errno_error(errno, "open", root + "/" + entry.path));
  return digest_fd(file.get(), root + "/" + entry.path);
}

Result<> hash_files(int root_fd, const std::string& root, std::vector<TreeEntry>& entries, unsigned threads) {
  std::vector<std::size_t> work;
  for (std::size_t i = 0; i < entries.size(); ++i)
    if (entries[i].type == EntryType::file && entries[i].hard_link.empty()) work.push_back(i);
  const auto useful = static_cast<unsigned>(std::min<std::size_t>(threads, work.size() / 16 + 1));
  return base::for_each_in_parallel(work.size(), {useful, 1}, [&](unsigned, std::size_t at) -> Result<> {
    TreeEntry& entry = entries[work[at]];
    ORCH_TRY(entry.digest, hash_file(root_fd, root, entry));
    return {};
  });
}

}  // namespace

void TreeListing::sort() {
  const auto less = [](const TreeEntry& a, const TreeEntry& b) { return a.path < b.path; };
  if (!std::is_sorted(entries.begin(), entries.end(), less)) std::sort(entries.begin(), entries.end(), less);
}

std::string TreeListing::canonical() const {
  std::string out(k_format_tag);
  out.reserve(entries.size() * 128);
  for (const TreeEntry& entry : entries) {
    out += static_cast<char>(entry.type);
    put_u64(out, entry.mode);
    put_u64(out, entry.size);
    put_text(out, entry.path);
    out.append(reinterpret_cast<const char*>(entry.digest.bytes.data()), entry.digest.bytes.size());
    put_text(out, entry.target);
    put_text(out, entry.hard_link);
  }
  return out;
}

Digest TreeListing::digest() const {
  return digest_of(canonical());
}

Sha256 TreeListing::sha256() const {
  return sha256_of(canonical());
}

std::uint64_t TreeListing::total_bytes() const {
  std::uint64_t total = 0;
  for (const TreeEntry& entry : entries)
    if (entry.type == EntryType::file && entry.hard_link.empty()) total += entry.size;
  return total;
}

namespace {

// How the files of a walk get their digests.
using HashAll = std::function<Result<>(int root_fd, std::vector<TreeEntry>& entries)>;

Result<TreeListing> list_with(const std::string& root, const HashAll& hash_all) {
  const OwnedFd fd(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) return fail(errno_error(errno, "open directory", root));
  const int walked = ::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0);
  if (walked < 0) return fail(errno_error(errno, "open directory", root));
  Walk walk;
  walk.root = root;
  ORCH_CHECK(walk.directory(walked, "", 0));
  for (auto& [inode, indices] : walk.linked) {
    const auto first = std::min_element(indices.begin(), indices.end(), [&](std::size_t a, std::size_t b) {
      return walk.entries[a].path < walk.entries[b].path;
    });
    const std::string name = walk.entries[*first].path;
    for (const std::size_t index : indices)
      if (index != *first) walk.entries[index].hard_link = name;
  }
  ORCH_CHECK(hash_all(fd.get(), walk.entries));
  TreeListing listing;
  listing.entries = std::move(walk.entries);
  listing.sort();
  if (walk.linked.empty()) return listing;
  std::map<std::string_view, const TreeEntry*> first_names;
  for (const TreeEntry& entry : listing.entries)
    if (entry.type == EntryType::file && entry.hard_link.empty()) first_names.emplace(entry.path, &entry);
  for (TreeEntry& entry : listing.entries)
    if (!entry.hard_link.empty()) entry.digest = first_names.at(entry.hard_link)->digest;
  return listing;
}

}  // namespace

Result<TreeListing> list_tree(const std::string& root, unsigned threads) {
  return list_with(root, [&](int root_fd, std::vector<TreeEntry>& entries) {
    return hash_files(root_fd, root, entries, threads);
  });
}

Result<TreeListing> list_tree(const std::string& root, const TreeHash& hash_one) {
  return list_with(root, [&](int, std::vector<TreeEntry>& entries) -> Result<> {
    for (TreeEntry& entry : entries) {
      if (entry.type != EntryType::file || !entry.hard_link.empty()) continue;
      ORCH_TRY(entry.digest, hash_one(root + "/" + entry.path));
    }
    return {};
  });
}

}  // namespace orch::hash
