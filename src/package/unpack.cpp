#include "package/unpack.hpp"

#include "base/text.hpp"
#include "sys/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <optional>
#include <thread>
#include <utility>

namespace orch::package {

using base::ErrorKind;
using hash::EntryType;

namespace {

base::Error in_package(base::Error error, const LockedPackage& package) {
  return std::move(error).while_doing("unpacking package '" + package.name + "' " + package.version);
}

std::string archive_of(const UnpackOrder& order, std::size_t index) {
  return order.archives + "/" + archive_file_name(order.packages[index]);
}

Result<UnpackedPackage> unpack_one(const UnpackOrder& order, std::size_t index) {
  const LockedPackage& package = order.packages[index];
  const UnpackPlace place{order.cache, order.scratch + "/package-" + std::to_string(index), order.kept};
  auto unpacked = unpacked_package(package.sha256, archive_of(order, index), place);
  if (!unpacked) return base::fail(in_package(std::move(unpacked).error(), package));
  return unpacked;
}

// Large archives first: a large one at the end would leave the other threads without work.
std::vector<std::size_t> by_size(const UnpackOrder& order) {
  std::vector<std::pair<std::uint64_t, std::size_t>> sizes;
  for (std::size_t i = 0; i < order.packages.size(); ++i) {
    const auto info = sys::stat_file(archive_of(order, i));
    sizes.emplace_back(info ? static_cast<std::uint64_t>(info->st_size) : 0, i);
  }
  std::stable_sort(sizes.begin(), sizes.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<std::size_t> indexes;
  for (const auto& [size, index] : sizes) indexes.push_back(index);
  return indexes;
}

// All packages, by `jobs` threads. Of several errors the first in lock order is reported.
Result<std::vector<UnpackedPackage>> unpack_all(const UnpackOrder& order) {
  const std::vector<std::size_t> indexes = by_size(order);
  std::vector<std::optional<Result<UnpackedPackage>>> results(indexes.size());
  std::atomic<std::size_t> next{0};
  std::atomic<bool> failed{false};
  const auto work = [&] {
    for (std::size_t i = next++; i < indexes.size() && !failed; i = next++) {
      results[indexes[i]] = unpack_one(order, indexes[i]);
      if (!*results[indexes[i]]) failed = true;
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < std::min<std::size_t>(order.jobs, results.size()); ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  for (auto& result : results)
    if (result && !*result) return base::fail(std::move(*result).error());
  std::vector<UnpackedPackage> unpacked;
  for (auto& result : results) {
    if (!result) return base::fail(ErrorKind::internal, "a package was not unpacked");
    unpacked.push_back(**std::move(result));
  }
  return unpacked;
}

std::string blob_path(const std::vector<UnpackedPackage>& unpacked, std::size_t package, std::size_t blob) {
  return unpacked[package].directory + "/" + std::to_string(blob);
}

// A file of its own, where the kept one cannot have a second name: on another file system, or with too many
// names already.
Result<> copy_to(const std::string& from, int at, const std::string& name, std::uint32_t mode) {
  ORCH_TRY(const sys::Fd in, sys::open_file(from, O_RDONLY | O_NOFOLLOW));
  const sys::Fd out(::openat(at, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!out) return base::fail(base::errno_error(errno, "create", name));
  for (std::uint64_t offset = 0;;) {
    ORCH_TRY(const std::string part, sys::read_at(in.get(), offset, 1U << 20U, from));
    if (part.empty()) break;
    ORCH_CHECK(sys::write_all(out.get(), part, name));
    offset += part.size();
  }
  if (::fchmod(out.get(), mode) != 0) return base::fail(base::errno_error(errno, "change the mode of", name));
  return {};
}

// Creates the planned nodes below one directory, in sorted order; symlinks come last.
class TreeMaker {
 public:
  static Result<TreeMaker> create(const std::string& tree, const std::vector<UnpackedPackage>& unpacked) {
    ORCH_CHECK(sys::make_dirs(tree, 0755));
    ORCH_TRY(sys::Fd root, sys::open_file(tree, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    if (::fchmod(root.get(), 0755) != 0)
      return base::fail(base::errno_error(errno, "change the mode of", tree));
    return TreeMaker(tree, unpacked, std::move(root));
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
  TreeMaker(const std::string& tree, const std::vector<UnpackedPackage>& unpacked, sys::Fd root)
      : tree_(tree), unpacked_(unpacked), root_(std::move(root)) {}

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
      if (fd < 0) return base::fail(base::errno_error(errno, "open", tree_ + "/" + directory));
      at.reset(fd);
    }
    parent_ = std::move(at);
    opened_ = directory;
    return parent_.get();
  }

  tl::unexpected<base::Error> failed(std::string_view action, const std::string& path) const {
    return base::fail(base::errno_error(errno, action, tree_ + "/" + path));
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
    const std::string blob = blob_path(unpacked_, node.package, node.blob.number);
    if (::linkat(AT_FDCWD, blob.c_str(), at, name.c_str(), 0) == 0) return {};
    if (errno != EXDEV && errno != EMLINK && errno != EPERM) return failed("create", path);
    return copy_to(blob, at, name, node.mode);
  }

  Result<> make_link(const std::string& path, const MergedTree::Node& node) {
    ORCH_TRY(const int at, parent(path));
    if (::symlinkat(node.target.c_str(), at, sys::file_name(path).c_str()) != 0)
      return failed("create", path);
    return {};
  }

  const std::string& tree_;
  const std::vector<UnpackedPackage>& unpacked_;
  sys::Fd root_;
  sys::Fd parent_;
  std::string opened_;
  std::map<std::pair<std::size_t, std::size_t>, std::string> placed_;  // (package, blob) to its first name
};

// A base of our own has no absolute links to directories. In other layers they are refused: there, packages
// are few, and somebody can be asked.
Result<> make_directory_links_relative(PlannedLayer& layer) {
  const std::unique_ptr<PlannedTree> tree = layer.tree();
  std::vector<std::string> links;
  for (const auto& [path, node] : layer.plan->nodes()) {
    if (node.type != EntryType::symlink || !node.target.starts_with('/')) continue;
    ORCH_TRY(const image::Resolution leads, image::resolve(*tree, node.target, image::Links::in_root));
    if (leads.outcome == image::Resolution::Outcome::found && leads.type == image::NodeType::directory)
      links.push_back(path);
  }
  for (const std::string& path : links) layer.plan->make_link_relative(path);
  return {};
}

}  // namespace

Result<PlannedLayer> plan_layer(const UnpackOrder& order) {
  PlannedLayer layer;
  ORCH_TRY(layer.unpacked, unpack_all(order));
  std::vector<std::string> names;
  for (const LockedPackage& package : order.packages) names.push_back(package.name);
  layer.plan = std::make_unique<MergedTree>(order.rules, std::move(names));
  for (std::size_t i = 0; i < layer.unpacked.size(); ++i) {
    for (const UnpackedEntry& item : layer.unpacked[i].entries) {
      auto added = layer.plan->add(i, item.entry, item.blob);
      if (!added) return base::fail(in_package(std::move(added).error(), order.packages[i]));
    }
  }
  if (order.rules.layer_class == LayerClass::base) ORCH_CHECK(make_directory_links_relative(layer));
  return layer;
}

std::unique_ptr<PlannedTree> PlannedLayer::tree() const {
  return std::make_unique<PlannedTree>(
      *plan, [this](std::size_t package, std::size_t blob) { return blob_path(unpacked, package, blob); });
}

bool kept_are_sound(const PlannedLayer& layer) {
  return std::all_of(layer.unpacked.begin(), layer.unpacked.end(),
                     [](const UnpackedPackage& one) { return !one.was_kept || is_sound(one); });
}

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

Result<> stage_layer(const PlannedLayer& layer, const std::string& tree) {
  ORCH_TRY(TreeMaker maker, TreeMaker::create(tree, layer.unpacked));
  return maker.make(layer.plan->nodes());
}

Result<UnpackedTree> unpack_packages(const UnpackOrder& order) {
  ORCH_TRY(const PlannedLayer layer, plan_layer(order));
  ORCH_CHECK(stage_layer(layer, order.tree));
  return describe(*layer.plan);
}

}  // namespace orch::package
