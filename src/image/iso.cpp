#include "image/iso.hpp"

#include "base/text.hpp"
#include "image/iso_archive.hpp"

#include <fmt/format.h>

#include <unordered_map>
#include <utility>

namespace orch::image {

using base::ErrorKind;
using base::fail;

namespace {

constexpr std::uint64_t k_max_in_memory = 256U << 20;
constexpr std::size_t k_max_entries = 4'000'000;

}  // namespace

Result<std::unique_ptr<IsoTree>> IsoTree::open(std::shared_ptr<const RandomAccess> image) {
  std::unique_ptr<IsoTree> tree(new IsoTree(std::move(image)));
  ORCH_CHECK(tree->load());
  return tree;
}

Result<> IsoTree::load() {
  nodes_[0].info.type = NodeType::directory;
  nodes_[0].info.mode = 0755;
  std::unordered_map<std::string, std::uint64_t> by_path{{"", 0}};
  ORCH_TRY(const std::unique_ptr<IsoArchive> archive, IsoArchive::open(image_));
  while (true) {
    ORCH_TRY(std::optional<IsoEntry> entry, archive->next());
    if (!entry) return {};
    if (nodes_.size() > k_max_entries) return fail(ErrorKind::corrupt, "the image has too many entries");
    const std::string& name = entry->components.back();
    const std::size_t parent_size = entry->path.size() - std::min(entry->path.size(), name.size() + 1);
    const auto parent = by_path.find(entry->path.substr(0, parent_size));
    if (parent == by_path.end() || nodes_[parent->second].info.type != NodeType::directory)
      return fail(ErrorKind::corrupt,
                  fmt::format("'{}' comes before its directory", base::printable(entry->path)));
    std::uint64_t id = nodes_.size();
    if (!entry->hard_link.empty()) {
      const auto first = by_path.find(entry->hard_link);
      if (first == by_path.end() || nodes_[first->second].info.type != NodeType::file)
        return fail(ErrorKind::corrupt,
                    fmt::format("'{}' links to '{}', which is no file of the image",
                                base::printable(entry->path), base::printable(entry->hard_link)));
      id = first->second;
    }
    if (!by_path.emplace(entry->path, id).second)
      return fail(ErrorKind::corrupt,
                  fmt::format("'{}' stands in the image twice", base::printable(entry->path)));
    const NodeType type = entry->info.type;
    nodes_[parent->second].entries.emplace(name, DirEntry{name, type, NodeId{id}});
    if (id == nodes_.size()) nodes_.push_back({entry->info, entry->path, std::move(entry->target), {}});
  }
}

Result<NodeInfo> IsoTree::stat(NodeId node) const {
  return nodes_.at(node.value).info;
}

Result<std::vector<DirEntry>> IsoTree::list(NodeId directory) const {
  std::vector<DirEntry> out;
  for (const auto& [name, entry] : nodes_.at(directory.value).entries) out.push_back(entry);
  return out;
}

Result<std::string> IsoTree::readlink(NodeId symlink) const {
  return nodes_.at(symlink.value).target;
}

Result<std::unique_ptr<RandomAccess>> IsoTree::open(NodeId file) const {
  const Node& node = nodes_.at(file.value);
  if (node.info.size > k_max_in_memory)
    return fail(ErrorKind::unsupported,
                fmt::format("'{}' has {}, at most {} can be read from an ISO image in place",
                            base::printable(node.path), base::human_size(node.info.size),
                            base::human_size(k_max_in_memory)));
  ORCH_TRY(const std::unique_ptr<IsoArchive> archive, IsoArchive::open(image_));
  while (true) {
    ORCH_TRY(const std::optional<IsoEntry> entry, archive->next());
    if (!entry) return fail(ErrorKind::corrupt, fmt::format("'{}' is gone", base::printable(node.path)));
    if (entry->path != node.path) continue;
    std::string bytes(static_cast<std::size_t>(node.info.size), '\0');
    std::size_t used = 0;
    while (used < bytes.size()) {
      ORCH_TRY(const std::size_t got,
               archive->read({reinterpret_cast<std::uint8_t*>(bytes.data()) + used, bytes.size() - used}));
      if (got == 0) break;
      used += got;
    }
    bytes.resize(used);
    return std::unique_ptr<RandomAccess>(std::make_unique<MemoryAccess>(std::move(bytes)));
  }
}

}  // namespace orch::image
