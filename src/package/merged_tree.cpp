#include "package/merged_tree.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace orch::package {

using base::ErrorKind;
using hash::EntryType;

namespace {

// Symlinks followed in one name, as the kernel counts them.
constexpr int k_link_budget = 40;
constexpr std::size_t k_longest_name = 255;
constexpr std::size_t k_longest_path = 4095;

constexpr std::array<std::string_view, 6> k_merged = {"bin", "sbin", "lib", "lib32", "lib64", "libx32"};
constexpr std::array<std::string_view, 4> k_base_links = {"bin", "sbin", "lib", "lib64"};
constexpr std::array<std::string_view, 15> k_base_directories = {
    "dev", "etc", "home", "mnt", "opt", "proc",    "root",   "run",
    "srv", "sys", "tmp",  "usr", "var", "var/lib", "var/tmp"};

constexpr std::array<std::string_view, 6> k_documentation = {"usr/share/doc",     "usr/share/man",
                                                             "usr/share/info",    "usr/share/doc-base",
                                                             "usr/share/lintian", "usr/share/gtk-doc"};

bool is_below(std::string_view path, std::string_view directory) {
  return path.starts_with(directory) && (path.size() == directory.size() || path[directory.size()] == '/');
}

bool is_merged(std::string_view name) {
  return std::find(k_merged.begin(), k_merged.end(), name) != k_merged.end();
}

std::string_view parent_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

std::string_view name_of(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

std::string child(const std::string& directory, std::string_view name) {
  return directory.empty() ? std::string(name) : directory + "/" + std::string(name);
}

std::string quoted(std::string_view text) {
  return "'" + base::printable(text) + "'";
}

// Directories must stay readable and writable for who builds, whatever the archive says; the sticky bit of
// /tmp stays.
std::uint32_t directory_mode(std::uint32_t mode) {
  return (mode & 01777U) | 0700U;
}

}  // namespace

std::uint32_t unpacked_mode(std::uint32_t mode) {
  return (mode & 0777U) | 0400U;
}

Result<std::string> entry_place(std::string_view raw) {
  if (raw.starts_with('/'))
    return base::fail(ErrorKind::corrupt, "the archive has the absolute name " + quoted(raw));
  if (raw.size() > k_longest_path)
    return base::fail(ErrorKind::corrupt, "the archive has a name of more than 4095 bytes");
  std::string place;
  for (std::string_view part : base::split(raw, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..")
      return base::fail(ErrorKind::corrupt, "the archive has a name with '..': " + quoted(raw));
    if (part.size() > k_longest_name)
      return base::fail(ErrorKind::corrupt,
                        "the archive has a file name of more than 255 bytes: " + quoted(raw));
    if (place.empty() && is_merged(part)) place = "usr";
    place = child(place, part);
  }
  return place;
}

std::string skip_reason(const TreeRules& rules, std::string_view place) {
  if (!rules.paths.empty() && std::none_of(rules.paths.begin(), rules.paths.end(),
                                           [&](const std::string& path) { return is_below(place, path); }))
    return "outside of the layer's paths";
  if (!rules.documentation && name_of(place) != "copyright")
    for (const std::string_view directory : k_documentation)
      if (is_below(place, directory)) return "documentation";
  if (rules.layer_class == LayerClass::deps && (is_below(place, "usr/bin") || is_below(place, "usr/sbin")) &&
      !image::is_allowed(rules.overrides, "executable-directory", place))
    return "a deps overlay carries no executables";
  return {};
}

MergedTree::MergedTree(TreeRules rules, std::vector<std::string> names)
    : rules_(std::move(rules)), names_(std::move(names)) {
  if (rules_.layer_class != LayerClass::base) return;
  for (const std::string_view directory : k_base_directories) {
    Node node;
    node.mode = directory.ends_with("tmp") ? 01777 : (directory == "root" ? 0700 : 0755);
    node.implied = true;
    nodes_.emplace(directory, node);
  }
  for (const std::string_view link : k_base_links) {
    Node directory;
    directory.implied = true;
    nodes_.emplace("usr/" + std::string(link), directory);
    Node node;
    node.type = EntryType::symlink;
    node.mode = 0777;
    node.target = "usr/" + std::string(link);
    nodes_.emplace(link, node);
  }
}

Result<> MergedTree::add(std::size_t package, const ArchiveEntry& entry, const Blob& blob) {
  ORCH_TRY(const std::string place, entry_place(entry.path));
  if (place.empty()) return {};
  const std::string reason = skip_reason(rules_, place);
  if (!reason.empty()) {
    if (entry.kind != EntryKind::directory) leave_out(package, place, reason);
    return {};
  }
  const bool top_link =
      place.starts_with("usr/") && is_merged(place.substr(4)) && entry.kind == EntryKind::symlink;
  if (top_link && entry_place(entry.target).value_or("") == place)
    return {};  // lib -> usr/lib, as base-files ships it
  ORCH_TRY(const std::string parent, resolve_parent(package, place));
  const std::string path = child(parent, name_of(place));
  if (path.size() > k_longest_path)
    return base::fail(ErrorKind::corrupt, "the archive has a name of more than 4095 bytes after its links");
  if (entry.kind == EntryKind::other) {
    add_special(package, path, entry);
    return {};
  }
  if (entry.kind == EntryKind::directory) return add_directory(package, path, entry);
  if (entry.kind == EntryKind::hard_link) return add_hard_link(package, path, entry);
  Node node;
  node.package = package;
  node.marks = entry.marks;
  if (entry.kind == EntryKind::symlink) {
    node.type = EntryType::symlink;
    node.mode = 0777;
    node.target = entry.target;
    if (node.target.empty() || node.target.size() > k_longest_path ||
        node.target.find('\0') != std::string::npos)
      return base::fail(ErrorKind::corrupt, "the symbolic link " + quoted(path) + " has no sound target");
  } else {
    node.type = EntryType::file;
    node.mode = unpacked_mode(entry.mode);
    node.set_id = entry.mode & 06000U;
    if (node.set_id != 0) note(package, path, "the set-uid and set-gid bits were dropped");
    node.blob = blob;
  }
  return put(package, path, std::move(node));
}

// Walks the directories above `place`: what is not there is made, links are followed inside the tree.
Result<std::string> MergedTree::resolve_parent(std::size_t package, std::string_view place) {
  std::string at;
  int budget = k_link_budget;
  const std::string_view parent = parent_of(place);
  if (parent.empty()) return at;
  for (std::string_view part : base::split(parent, '/')) {
    ORCH_TRY(at, resolve_link(package, at, part, budget));
  }
  return at;
}

// One step from the directory `at` to its child `part`, which becomes a directory if it is absent.
Result<std::string> MergedTree::resolve_link(std::size_t package, const std::string& at,
                                             std::string_view part, int& budget) {
  if (part.empty() || part == ".") return at;
  if (part == "..") return std::string(parent_of(at));
  std::string path = child(at, part);
  const auto found = nodes_.find(path);
  if (found == nodes_.end()) {
    if (path.size() > k_longest_path)
      return base::fail(ErrorKind::corrupt, "the archive has a name of more than 4095 bytes after its links");
    Node node;
    node.implied = true;
    nodes_.emplace(path, node);
    return path;
  }
  if (found->second.type == EntryType::directory) return path;
  if (found->second.type == EntryType::file)
    return base::fail(ErrorKind::corrupt, "package '" + names_[package] + "' has entries below " +
                                              quoted(path) + ", which is a file of " + owner(found->second));
  if (--budget < 0)
    return base::fail(ErrorKind::corrupt, "package '" + names_[package] + "' has entries below " +
                                              quoted(path) + ", a symbolic link that leads in a circle");
  const std::string target = found->second.target;
  std::string to = target.starts_with('/') ? std::string() : at;
  bool top = to.empty();
  for (std::string_view step : base::split(target, '/')) {
    if (step.empty() || step == ".") continue;
    if (top && is_merged(step)) {
      ORCH_TRY(to, resolve_link(package, to, "usr", budget));
    }
    ORCH_TRY(to, resolve_link(package, to, step, budget));
    top = to.empty();
  }
  return to;
}

void MergedTree::add_special(std::size_t package, const std::string& path, const ArchiveEntry& entry) {
  leave_out(package, path, "device nodes, pipes and sockets are not unpacked");
  specials_.push_back({path, package, entry.special, entry.device_major, entry.device_minor});
}

Result<> MergedTree::add_directory(std::size_t package, const std::string& path, const ArchiveEntry& entry) {
  const std::uint32_t mode = directory_mode(entry.mode);
  const auto found = nodes_.find(path);
  if (found == nodes_.end()) {
    Node node;
    node.mode = mode;
    node.package = package;
    node.marks = entry.marks;
    nodes_.emplace(path, std::move(node));
    return {};
  }
  Node& there = found->second;
  if (there.type == EntryType::file)
    return base::fail(ErrorKind::corrupt, "package '" + names_[package] + "' has the directory " +
                                              quoted(path) + ", which is a file of " + owner(there));
  if (there.type != EntryType::directory) return {};
  if (entry.marks != EntryMarks{}) {
    there.marks = entry.marks;
    there.package = package;
  }
  if (there.implied) {
    there.implied = false;
    there.mode = mode;
    there.package = package;
  }
  return {};
}

void MergedTree::leave_out(std::size_t package, const std::string& path, std::string reason) {
  skipped_.push_back({path, package, std::move(reason)});
  left_out_.emplace(package, path);
}

Result<> MergedTree::add_hard_link(std::size_t package, const std::string& path, const ArchiveEntry& entry) {
  ORCH_TRY(const std::string target, entry_place(entry.target));
  if (left_out_.contains({package, target})) {
    leave_out(package, path, "a hard link to " + quoted(target) + ", which was left out");
    return {};
  }
  ORCH_TRY(const std::string parent, resolve_parent(package, target));
  const auto found = nodes_.find(child(parent, name_of(target)));
  if (found == nodes_.end() || found->second.type != EntryType::file || found->second.package != package)
    return base::fail(ErrorKind::corrupt, "package '" + names_[package] + "' has the hard link " +
                                              quoted(path) + " to " + quoted(entry.target) +
                                              ", which is no file that it has unpacked before");
  Node node = found->second;
  return put(package, path, std::move(node));
}

Result<> MergedTree::put(std::size_t package, const std::string& path, Node node) {
  const auto found = nodes_.find(path);
  if (found == nodes_.end()) {
    nodes_.emplace(path, std::move(node));
    return {};
  }
  Node& there = found->second;
  if (there.type == EntryType::directory) {
    if (node.type == EntryType::file)
      return base::fail(ErrorKind::corrupt, "package '" + names_[package] + "' has the file " + quoted(path) +
                                                ", which is a directory of " + owner(there));
    note(package, path,
         "a symbolic link to " + quoted(node.target) + " was left out: " + owner(there) +
             " has a directory there");
    return {};
  }
  const bool same = there.type == node.type && there.target == node.target && there.mode == node.mode &&
                    there.blob.digest == node.blob.digest;
  if (there.package != package && !same) note(package, path, "replaces the one of " + owner(there));
  there = std::move(node);
  return {};
}

void MergedTree::make_link_relative(const std::string& path) {
  Node& link = nodes_.at(path);
  std::string target;
  for (const char c : path)
    if (c == '/') target += "../";
  const std::size_t start = link.target.find_first_not_of('/');
  target += start == std::string::npos ? "." : link.target.substr(start);
  note(link.package, path, "the absolute link to " + quoted(link.target) + " was made relative");
  link.target = std::move(target);
}

std::string MergedTree::owner(const Node& node) const {
  return node.package == k_no_package ? "the tree's own skeleton" : "package '" + names_[node.package] + "'";
}

void MergedTree::note(std::size_t package, const std::string& path, std::string text) {
  notes_.push_back({path, package, std::move(text)});
}

}  // namespace orch::package
