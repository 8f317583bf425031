#include "package/unpack.hpp"

#include "base/text.hpp"
#include "package/rpm.hpp"
#include "sys/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <optional>
#include <thread>
#include <utility>

namespace orch::package {

using base::ErrorKind;
using hash::EntryType;

namespace {

constexpr std::size_t k_buffer = 1U << 17U;

struct StoredEntry {
  ArchiveEntry entry;
  Blob blob;
};
using StoredPackage = std::vector<StoredEntry>;

std::string blob_directory(const UnpackOrder& order, std::size_t package) {
  return order.scratch + "/package-" + std::to_string(package);
}

// Writes the entry's content to `file`; the size is what came, the digest is taken on the way.
Result<Blob> store_content(const std::string& file, std::size_t number, const ContentReader& content,
                           std::vector<char>& buffer) {
  ORCH_TRY(const sys::Fd fd, sys::open_file(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  hash::Hasher hasher;
  Blob blob;
  blob.number = number;
  for (;;) {
    ORCH_TRY(const std::size_t count, content(buffer.data(), buffer.size()));
    if (count == 0) break;
    hasher.update(buffer.data(), count);
    blob.size += count;
    ORCH_CHECK(sys::write_all(fd.get(), std::string_view(buffer.data(), count), file));
  }
  blob.digest = hasher.finish();
  return blob;
}

Result<StoredPackage> store_package(const UnpackOrder& order, std::size_t index) {
  const std::string archive = order.archives + "/" + archive_file_name(order.packages[index]);
  const std::string directory = blob_directory(order, index);
  ORCH_CHECK(sys::make_dirs(directory, 0700));
  StoredPackage stored;
  std::vector<char> buffer(k_buffer);
  ORCH_CHECK(read_package(archive, [&](const ArchiveEntry& entry, const ContentReader& content) -> Result<> {
    ORCH_TRY(const std::string place, entry_place(entry.path));
    StoredEntry item{entry, {}};
    if (entry.kind == EntryKind::file && skip_reason(order.rules, entry, place).empty()) {
      ORCH_TRY(item.blob, store_content(directory + "/" + std::to_string(stored.size()), stored.size(),
                                        content, buffer));
      if (item.blob.size != entry.size)
        return base::fail(ErrorKind::corrupt, "'" + base::printable(place) + "' has " +
                                                  std::to_string(item.blob.size) + " bytes, expected " +
                                                  std::to_string(entry.size));
    }
    stored.push_back(std::move(item));
    return {};
  }));
  return stored;
}

base::Error in_package(base::Error error, const LockedPackage& package) {
  return std::move(error).while_doing("unpacking package '" + package.name + "' " + package.version);
}

// All packages, by `jobs` threads. Of several errors the first in lock order is reported.
Result<std::vector<StoredPackage>> store_all(const UnpackOrder& order) {
  std::vector<std::optional<Result<StoredPackage>>> results(order.packages.size());
  std::atomic<std::size_t> next{0};
  std::atomic<bool> failed{false};
  const auto work = [&] {
    for (std::size_t i = next++; i < results.size() && !failed; i = next++) {
      results[i] = store_package(order, i);
      if (!*results[i]) failed = true;
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < std::min<std::size_t>(order.jobs, results.size()); ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  std::vector<StoredPackage> stored;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (!results[i]) break;
    if (!*results[i]) return base::fail(in_package(std::move(*results[i]).error(), order.packages[i]));
    stored.push_back(**std::move(results[i]));
  }
  if (stored.size() != results.size()) return base::fail(ErrorKind::internal, "a package was not unpacked");
  return stored;
}

// Creates the planned nodes below one directory, in sorted order; symlinks come last.
class TreeMaker {
 public:
  static Result<TreeMaker> create(const UnpackOrder& order) {
    ORCH_CHECK(sys::make_dirs(order.tree, 0755));
    ORCH_TRY(sys::Fd root, sys::open_file(order.tree, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    if (::fchmod(root.get(), 0755) != 0)
      return base::fail(base::errno_error(errno, "change the mode of", order.tree));
    return TreeMaker(order, std::move(root));
  }

  Result<> make(const std::map<std::string, MergedTree::Node>& nodes) {
    for (const auto& [path, node] : nodes) {
      if (node.type == EntryType::directory) ORCH_CHECK(make_directory(path, node));
      if (node.type == EntryType::file) ORCH_CHECK(place_file(path, node));
    }
    for (const auto& [path, node] : nodes)
      if (node.type == EntryType::symlink) ORCH_CHECK(make_link(path, node));
    return {};
  }

 private:
  TreeMaker(const UnpackOrder& order, sys::Fd root) : order_(order), root_(std::move(root)) {}

  // The directory above `path`, opened component by component without following links.
  Result<int> parent(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    const std::string directory = slash == std::string::npos ? "" : path.substr(0, slash);
    if (directory.empty()) return root_.get();
    if (directory == opened_ && parent_) return parent_.get();
    sys::Fd at;
    for (std::string_view part : base::split(directory, '/')) {
      const int fd = ::openat(at ? at.get() : root_.get(), std::string(part).c_str(),
                              O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      if (fd < 0) return base::fail(base::errno_error(errno, "open", order_.tree + "/" + directory));
      at.reset(fd);
    }
    parent_ = std::move(at);
    opened_ = directory;
    return parent_.get();
  }

  tl::unexpected<base::Error> failed(std::string_view action, const std::string& path) const {
    return base::fail(base::errno_error(errno, action, order_.tree + "/" + path));
  }

  Result<> make_directory(const std::string& path, const MergedTree::Node& node) {
    ORCH_TRY(const int at, parent(path));
    const std::string name = sys::file_name(path);
    if (::mkdirat(at, name.c_str(), 0700) != 0) return failed("create", path);
    if (::fchmodat(at, name.c_str(), node.mode, 0) != 0) return failed("change the mode of", path);
    return {};
  }

  Result<> place_file(const std::string& path, const MergedTree::Node& node) {
    ORCH_TRY(const int at, parent(path));
    const std::string name = sys::file_name(path);
    const auto [first, is_first] = placed_.emplace(std::pair(node.package, node.blob.number), path);
    if (!is_first) {
      // Both ends are in the tree that was just made: no component of either is a link.
      if (::linkat(root_.get(), first->second.c_str(), at, name.c_str(), 0) != 0) return failed("link", path);
      return {};
    }
    const std::string blob = blob_directory(order_, node.package) + "/" + std::to_string(node.blob.number);
    if (::chmod(blob.c_str(), node.mode) != 0) return failed("change the mode of", path);
    if (::renameat(AT_FDCWD, blob.c_str(), at, name.c_str()) != 0) return failed("create", path);
    return {};
  }

  Result<> make_link(const std::string& path, const MergedTree::Node& node) {
    ORCH_TRY(const int at, parent(path));
    if (::symlinkat(node.target.c_str(), at, sys::file_name(path).c_str()) != 0)
      return failed("create", path);
    return {};
  }

  const UnpackOrder& order_;
  sys::Fd root_;
  sys::Fd parent_;
  std::string opened_;
  std::map<std::pair<std::size_t, std::size_t>, std::string> placed_;  // (package, blob) to its first name
};

UnpackedTree describe(const MergedTree& merged) {
  UnpackedTree tree;
  std::map<std::pair<std::size_t, std::size_t>, std::string> first;
  for (const auto& [path, node] : merged.nodes()) {
    hash::TreeEntry entry;
    entry.path = path;
    entry.type = node.type;
    entry.mode = node.mode & 0777U;
    entry.target = node.target;
    entry.size = node.type == EntryType::file ? node.blob.size : node.target.size();
    entry.digest = node.blob.digest;
    if (node.type == EntryType::file) {
      const auto [known, is_first] = first.emplace(std::pair(node.package, node.blob.number), path);
      if (!is_first) entry.hard_link = known->second;
    }
    tree.listing.entries.push_back(std::move(entry));
    tree.owner.push_back(node.package);
  }
  tree.skipped = merged.skipped();
  tree.notes = merged.notes();
  return tree;
}

}  // namespace

Result<UnpackedTree> unpack_packages(const UnpackOrder& order) {
  ORCH_TRY(const std::vector<StoredPackage> stored, store_all(order));
  std::vector<std::string> names;
  for (const LockedPackage& package : order.packages) names.push_back(package.name);
  MergedTree merged(order.rules, std::move(names));
  for (std::size_t i = 0; i < stored.size(); ++i) {
    for (const StoredEntry& item : stored[i]) {
      auto added = merged.add(i, item.entry, item.blob);
      if (!added) return base::fail(in_package(std::move(added).error(), order.packages[i]));
    }
  }
  ORCH_TRY(TreeMaker maker, TreeMaker::create(order));
  ORCH_CHECK(maker.make(merged.nodes()));
  return describe(merged);
}

}  // namespace orch::package
