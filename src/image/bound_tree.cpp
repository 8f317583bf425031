#include "image/bound_tree.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace orch::image {

using base::ErrorKind;
using base::fail;

Result<std::unique_ptr<BoundTree>> BoundTree::make(std::shared_ptr<const FileTree> base,
                                                   const std::vector<Bind>& binds) {
  std::unique_ptr<BoundTree> out(new BoundTree());
  const NodeId base_root = base->root();
  out->trees_.push_back(std::move(base));
  out->root_ = out->junction_id(out->add_junction(SourceNode{0, base_root}));
  for (const Bind& bind : binds) {
    out->trees_.push_back(bind.tree);
    ORCH_CHECK(out->bind(bind.path, out->trees_.size() - 1));
  }
  return out;
}

std::size_t BoundTree::add_junction(std::optional<SourceNode> covers) {
  const std::size_t index = junctions_.size();
  junctions_.push_back({covers});
  return index;
}

// The components of `path` once the links of what is there so far are followed.
Result<std::vector<std::string>> BoundTree::place_of(const std::string& path) const {
  if (!path.starts_with('/'))
    return fail(ErrorKind::usage,
                fmt::format("'{}' is relative, expected an absolute path", base::printable(path)));
  ORCH_TRY(const Resolution found, resolve(*this, path, Links::in_root));
  if (found.outcome == Resolution::Outcome::loop)
    return fail(ErrorKind::corrupt,
                fmt::format("symbolic links run in circles at '{}'", base::printable(path)));
  std::vector<std::string> parts;
  for (const std::string& piece : {found.path, found.rest})
    for (const std::string_view part : base::split(piece, '/'))
      if (!part.empty()) parts.emplace_back(part);
  if (parts.empty())
    return fail(ErrorKind::usage, "a tree cannot be bound at '/', expected a directory below");
  for (const std::string& part : parts)
    if (!is_valid_name(part))
      return fail(ErrorKind::unsupported, fmt::format("'{}' needs '{}' in a directory that does not exist",
                                                      base::printable(path), base::printable(part)));
  return parts;
}

Result<> BoundTree::bind(const std::string& path, std::size_t tree) {
  ORCH_TRY(const std::vector<std::string> parts, place_of(path));
  std::size_t at = 0;
  for (std::size_t depth = 0; depth + 1 < parts.size(); ++depth) {
    const auto known = junctions_[at].children.find(parts[depth]);
    if (known != junctions_[at].children.end()) {
      at = known->second;
      continue;
    }
    std::optional<SourceNode> covers;
    if (const auto& from = junctions_[at].covers) {
      ORCH_TRY(const std::optional<DirEntry> entry, trees_[from->tree]->lookup(from->node, parts[depth]));
      if (entry && entry->type == NodeType::directory) covers = SourceNode{from->tree, entry->node};
    }
    const std::size_t next = add_junction(covers);
    junctions_[at].children.emplace(parts[depth], next);
    at = next;
  }
  const std::size_t bound = add_junction(SourceNode{tree, trees_[tree]->root()});
  junctions_[at].children.insert_or_assign(parts.back(), bound);
  places_.push_back(base::join(parts, "/"));
  return {};
}

const BoundTree::Junction* BoundTree::junction(NodeId node) const {
  const SourceNode key = this->key(node);
  return key.tree == k_junction ? &junctions_.at(static_cast<std::size_t>(key.node.value)) : nullptr;
}

std::optional<SourceNode> BoundTree::source_of(NodeId node) const {
  const Junction* here = junction(node);
  return here != nullptr ? here->covers : key(node);
}

DirEntry BoundTree::wrap(std::size_t tree, DirEntry entry) const {
  const SourceNode source{tree, entry.node};
  const std::optional<NodeId> packed = Packed::pack(source);
  entry.node = packed ? *packed : nodes_.intern(source);
  return entry;
}

Result<NodeInfo> BoundTree::stat(NodeId node) const {
  if (const std::optional<SourceNode> source = source_of(node))
    return trees_[source->tree]->stat(source->node);
  NodeInfo made_up;
  made_up.type = NodeType::directory;
  made_up.mode = 0755;
  made_up.links = 1;
  return made_up;
}

Result<std::vector<DirEntry>> BoundTree::list(NodeId directory) const {
  std::vector<DirEntry> out;
  if (const std::optional<SourceNode> source = source_of(directory)) {
    ORCH_TRY(out, trees_[source->tree]->list(source->node));
    for (DirEntry& entry : out) entry = wrap(source->tree, std::move(entry));
  }
  const Junction* here = junction(directory);
  if (here == nullptr) return out;
  std::erase_if(out, [&](const DirEntry& entry) { return here->children.count(entry.name) != 0; });
  for (const auto& [name, index] : here->children)
    out.push_back({name, NodeType::directory, junction_id(index)});
  std::sort(out.begin(), out.end(), [](const DirEntry& a, const DirEntry& b) { return a.name < b.name; });
  return out;
}

Result<std::optional<DirEntry>> BoundTree::lookup(NodeId directory, std::string_view name) const {
  if (const Junction* here = junction(directory)) {
    const auto child = here->children.find(name);
    if (child != here->children.end())
      return DirEntry{std::string(name), NodeType::directory, junction_id(child->second)};
  }
  const std::optional<SourceNode> source = source_of(directory);
  if (!source) return std::optional<DirEntry>();
  ORCH_TRY(std::optional<DirEntry> entry, trees_[source->tree]->lookup(source->node, name));
  if (entry) entry = wrap(source->tree, std::move(*entry));
  return entry;
}

Result<std::string> BoundTree::readlink(NodeId symlink) const {
  const SourceNode key = this->key(symlink);
  return trees_.at(key.tree)->readlink(key.node);
}

Result<std::unique_ptr<RandomAccess>> BoundTree::open(NodeId file) const {
  const SourceNode key = this->key(file);
  return trees_.at(key.tree)->open(key.node);
}

}  // namespace orch::image
