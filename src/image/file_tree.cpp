#include "image/file_tree.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <sys/stat.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

namespace orch::image {

using base::ErrorKind;
using base::fail;

std::optional<NodeType> type_of_mode(mode_t mode) {
  if (S_ISREG(mode)) return NodeType::file;
  if (S_ISDIR(mode)) return NodeType::directory;
  if (S_ISLNK(mode)) return NodeType::symlink;
  if (S_ISCHR(mode)) return NodeType::char_device;
  if (S_ISBLK(mode)) return NodeType::block_device;
  if (S_ISFIFO(mode)) return NodeType::fifo;
  if (S_ISSOCK(mode)) return NodeType::socket;
  return std::nullopt;
}

std::string_view to_string(NodeType type) {
  switch (type) {
    case NodeType::file:
      return "file";
    case NodeType::directory:
      return "directory";
    case NodeType::symlink:
      return "symlink";
    case NodeType::char_device:
      return "character device";
    case NodeType::block_device:
      return "block device";
    case NodeType::fifo:
      return "fifo";
    case NodeType::socket:
      return "socket";
  }
  return "unknown";
}

bool is_whiteout(const NodeInfo& info) {
  if (info.type == NodeType::char_device) return info.device_major == 0 && info.device_minor == 0;
  return info.type == NodeType::file && info.size == 0 && info.whiteout_mark;
}

bool is_valid_name(std::string_view name) {
  return !name.empty() && name.size() <= 255 && name != "." && name != ".." &&
         name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

namespace {

struct Walker {
  const FileTree& tree;
  const std::function<Result<>(const WalkEntry&)>& visit;
  const WalkLimits& limits;
  std::size_t entries = 0;
  std::set<NodeId> directories{};

  Result<> descend(NodeId directory, const std::string& prefix, std::size_t depth) {
    if (depth > limits.depth)
      return fail(ErrorKind::corrupt, fmt::format("'{}' lies more than {} directories deep",
                                                  base::printable(prefix), limits.depth));
    if (!directories.insert(directory).second)
      return fail(ErrorKind::corrupt,
                  fmt::format("the directory '{}' stands in the tree twice", base::printable(prefix)));
    ORCH_TRY(const std::vector<DirEntry> names, tree.list(directory));
    for (const DirEntry& entry : names) {
      if (++entries > limits.entries)
        return fail(ErrorKind::corrupt, fmt::format("the tree has more than {} entries", limits.entries));
      const WalkEntry item{prefix + entry.name, entry.type, entry.node};
      ORCH_CHECK(visit(item));
      if (entry.type == NodeType::directory) ORCH_CHECK(descend(entry.node, item.path + "/", depth + 1));
    }
    return {};
  }
};

// The kernel's own limit for one path.
constexpr std::size_t k_max_links = 40;
constexpr std::size_t k_max_target = 65536;

struct Resolver {
  const FileTree& tree;
  Links links;
  LastLink last = LastLink::follow;
  std::vector<DirEntry> stack{};       // from below the root to where we are
  std::vector<std::string> pending{};  // components still to go, last first
  Resolution result{};

  void push(std::string_view path) {
    std::vector<std::string_view> parts = base::split(path, '/');
    for (auto part = parts.rbegin(); part != parts.rend(); ++part)
      if (!part->empty() && *part != ".") pending.emplace_back(*part);
  }

  std::string here() const {
    std::string path;
    for (const DirEntry& entry : stack) path += (path.empty() ? "" : "/") + entry.name;
    return path;
  }

  std::string rest() const {
    std::string path;
    for (auto part = pending.rbegin(); part != pending.rend(); ++part)
      path += (path.empty() ? "" : "/") + *part;
    return path;
  }

  // Follows one link; false if that ends the search.
  Result<bool> follow(const DirEntry& link) {
    ORCH_TRY(std::string target, tree.readlink(link.node));
    result.links.push_back(target);
    result.path = target;
    if (result.links.size() > k_max_links || target.size() > k_max_target) {
      result.outcome = Resolution::Outcome::loop;
      return false;
    }
    if (!target.empty() && target.front() == '/') {
      if (links == Links::in_root) {
        stack.clear();
        push(target);
        return true;
      }
      result.outcome = Resolution::Outcome::outside;
      return false;
    }
    push(target);
    return true;
  }

  // One component; false if that ends the search.
  Result<bool> step(const std::string& name) {
    if (name == "..") {
      if (stack.empty() && links == Links::in_root) return true;
      if (stack.empty()) {
        result.outcome = Resolution::Outcome::outside;
        if (result.path.empty()) result.path = "..";
        return false;
      }
      stack.pop_back();
      return true;
    }
    const NodeId directory = stack.empty() ? tree.root() : stack.back().node;
    const bool inside = stack.empty() || stack.back().type == NodeType::directory;
    std::optional<DirEntry> entry;
    if (inside) {
      ORCH_TRY(entry, tree.lookup(directory, name));
    }
    if (!entry) {
      result.outcome = Resolution::Outcome::missing;
      result.path = here().empty() ? name : here() + "/" + name;
      return false;
    }
    if (entry->type == NodeType::symlink && (last == LastLink::follow || !pending.empty()))
      return follow(*entry);
    stack.push_back(std::move(*entry));
    return true;
  }
};

}  // namespace

Result<std::optional<DirEntry>> FileTree::lookup(NodeId directory, std::string_view name) const {
  ORCH_TRY(std::vector<DirEntry> names, list(directory));
  const auto at =
      std::lower_bound(names.begin(), names.end(), name,
                       [](const DirEntry& entry, std::string_view key) { return entry.name < key; });
  if (at == names.end() || at->name != name) return std::optional<DirEntry>();
  return std::optional<DirEntry>(std::move(*at));
}

Result<> walk(const FileTree& tree, const std::function<Result<>(const WalkEntry&)>& visit,
              const WalkLimits& limits) {
  Walker walker{tree, visit, limits};
  return walker.descend(tree.root(), "", 0);
}

Result<Resolution> resolve(const FileTree& tree, std::string_view path, Links links, LastLink last) {
  Resolver resolver{tree, links, last};
  resolver.push(path);
  while (!resolver.pending.empty()) {
    const std::string name = std::move(resolver.pending.back());
    resolver.pending.pop_back();
    ORCH_TRY(const bool more, resolver.step(name));
    if (!more) {
      resolver.result.rest = resolver.rest();
      return std::move(resolver.result);
    }
  }
  Resolution& result = resolver.result;
  result.outcome = Resolution::Outcome::found;
  result.path = resolver.here();
  result.node = resolver.stack.empty() ? tree.root() : resolver.stack.back().node;
  result.type = resolver.stack.empty() ? NodeType::directory : resolver.stack.back().type;
  return std::move(result);
}

}  // namespace orch::image
