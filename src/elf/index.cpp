#include "elf/index.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <unordered_map>
#include <utility>

namespace orch::elf {

using base::ErrorKind;
using base::fail;
using image::DirEntry;
using image::NodeId;
using image::NodeInfo;
using image::NodeType;

namespace {

constexpr std::size_t k_most_nodes = 4'000'000;
constexpr std::uint64_t k_most_script = 64U << 10;
// Files that one thread takes in turn: they lie near each other in an image.
constexpr std::size_t k_files_at_once = 64;
constexpr std::uint64_t k_most_kept = 4U << 20;  // bytes of one file

// What the loader, and whoever asks which distribution this is, reads of a root file system; and what says
// how an application is started.
bool is_kept(std::string_view path) {
  if (path.find('/') == std::string_view::npos && path.ends_with(".desktop")) return true;
  return path == "etc/ld.so.cache" || path == "etc/ld.so.conf" || path == "etc/ld.so.preload" ||
         path == "etc/os-release" || path == "usr/lib/os-release" || path.starts_with("etc/ld.so.conf.d/");
}

}  // namespace

// Walks a tree breadth first, so that the entries of a directory get consecutive numbers.
class IndexBuilder {
 public:
  IndexBuilder(const image::FileTree& tree, const IndexOptions& options) : tree_(tree), options_(options) {}

  Result<std::shared_ptr<const Index>> run() {
    ORCH_CHECK(add({tree_.root(), "", NodeType::directory}));
    for (std::size_t next = 0; next < found_.size(); ++next) ORCH_CHECK(read(next));
    ORCH_CHECK(read_files());
    return std::shared_ptr<const Index>(std::move(index_));
  }

 private:
  struct Found {
    NodeId node;
    std::string path;  // the first that leads there
    NodeType type;
  };

  // The number of the node in the index; the same for all names of a file.
  Result<std::size_t> add(Found found) {
    const auto [known, is_new] = numbers_.try_emplace(found.node.value, found_.size());
    if (!is_new) {
      if (found.type == NodeType::directory)
        return fail(ErrorKind::corrupt,
                    fmt::format("the directory '{}' stands in the tree twice", base::printable(found.path)));
      return known->second;
    }
    if (found_.size() >= k_most_nodes)
      return fail(ErrorKind::corrupt, fmt::format("the tree has more than {} files", k_most_nodes));
    // Now, as what list() has read of it is still at hand.
    ORCH_TRY(NodeInfo info, tree_.stat(found.node));
    info.mtime = 0;
    info.mtime_nsec = info.uid = info.gid = 0;
    if (info.type == NodeType::directory) info.links = 0;
    found_.push_back(std::move(found));
    index_->nodes_.emplace_back().info = info;
    return known->second;
  }

  Result<> read(std::size_t number) {
    const Found found = found_[number];
    if (found.type == NodeType::directory) return read_directory(number, found);
    if (found.type == NodeType::symlink) {
      ORCH_TRY(index_->nodes_[number].target, tree_.readlink(found.node));
    }
    if (found.type == NodeType::file && index_->nodes_[number].info.size > 0) files_.push_back(number);
    return {};
  }

  // The contents of all files, when all are found; in the order of their nodes, which is the one of their places
  // in an image. Of several errors the first in that order is told.
  Result<> read_files() {
    std::sort(files_.begin(), files_.end(),
              [&](std::size_t a, std::size_t b) { return found_[a].node < found_[b].node; });
    std::atomic<std::size_t> next = 0;
    std::atomic<bool> failed = false;
    std::vector<std::optional<base::Error>> errors(files_.size());
    const auto work = [&] {
      for (std::size_t first = next.fetch_add(k_files_at_once); first < files_.size() && !failed;
           first = next.fetch_add(k_files_at_once))
        for (std::size_t at = first; at < std::min(first + k_files_at_once, files_.size()); ++at) {
          const Result<> done = read_file(files_[at], found_[files_[at]]);
          if (done) continue;
          errors[at] = done.error();
          failed = true;
          break;
        }
    };
    std::vector<std::thread> others;
    for (unsigned i = 1; i < options_.threads; ++i) others.emplace_back(work);
    work();
    for (std::thread& thread : others) thread.join();
    for (std::optional<base::Error>& error : errors)
      if (error) return base::fail(*std::move(error));
    return {};
  }

  Result<> read_directory(std::size_t number, const Found& found) {
    ORCH_TRY(std::vector<DirEntry> entries, tree_.list(found.node));
    std::vector<Index::Entry> out;
    out.reserve(entries.size());
    for (DirEntry& entry : entries) {
      std::string path = found.path.empty() ? entry.name : found.path + "/" + entry.name;
      ORCH_TRY(const std::size_t node, add({entry.node, std::move(path), entry.type}));
      out.push_back({std::move(entry.name), node});
    }
    index_->nodes_[number].entries = std::move(out);
    return {};
  }

  Result<> read_file(std::size_t number, const Found& found) {
    Index::Node& node = index_->nodes_[number];
    ORCH_TRY(const std::unique_ptr<image::RandomAccess> file, tree_.open(found.node));
    if (is_kept(found.path) && file->size() <= k_most_kept) {
      ORCH_TRY(node.content, image::read_exact(*file, 0, static_cast<std::size_t>(file->size())));
      return {};
    }
    ORCH_TRY(std::optional<Facts> facts, read_facts(*file));
    if (!facts) return keep_script(node, found.path, *file);
    node.elf = std::make_unique<Index::ElfFile>();
    if (options_.dlopen_hints) {
      ORCH_TRY(node.elf->hints, read_dlopen_hints(*file, *facts));
    }
    // A loader is a shared library without needs; the search for its directories reads all of its constants.
    if (facts->type == k_type_shared && facts->needed.empty() && facts->soname.starts_with("ld-")) {
      ORCH_TRY(node.elf->layout, read_loader_layout(*file));
    }
    node.elf->facts = *std::move(facts);
    return {};
  }

  // Scripts that may start the application say which program they lead to.
  static Result<> keep_script(Index::Node& node, std::string_view path, const image::RandomAccess& file) {
    const std::size_t slash = path.rfind('/');
    const bool in_bin = slash != std::string_view::npos &&
                        (path.substr(0, slash) == "bin" || path.substr(0, slash).ends_with("/bin"));
    if ((slash != std::string_view::npos && !in_bin) || file.size() < 2 || file.size() > k_most_script)
      return {};
    ORCH_TRY(std::string head, image::read_exact(file, 0, 2));
    if (head != "#!") return {};
    ORCH_TRY(node.content, image::read_exact(file, 0, static_cast<std::size_t>(file.size())));
    return {};
  }

  const image::FileTree& tree_;
  const IndexOptions& options_;
  std::shared_ptr<Index> index_{new Index()};
  std::vector<Found> found_;
  std::vector<std::size_t> files_;  // numbers of files that are not empty
  std::unordered_map<std::uint64_t, std::size_t> numbers_;
};

Result<std::shared_ptr<const Index>> Index::make(const image::FileTree& tree, const IndexOptions& options) {
  return IndexBuilder(tree, options).run();
}

Result<NodeInfo> Index::stat(NodeId node) const {
  return at(node).info;
}

Result<std::vector<DirEntry>> Index::list(NodeId directory) const {
  std::vector<DirEntry> out;
  out.reserve(at(directory).entries.size());
  for (const Entry& entry : at(directory).entries)
    out.push_back({entry.name, nodes_[entry.node].info.type, NodeId{entry.node}});
  return out;
}

Result<std::optional<DirEntry>> Index::lookup(NodeId directory, std::string_view name) const {
  const std::vector<Entry>& entries = at(directory).entries;
  const auto found =
      std::lower_bound(entries.begin(), entries.end(), name,
                       [](const Entry& entry, std::string_view key) { return entry.name < key; });
  if (found == entries.end() || found->name != name) return std::optional<DirEntry>();
  return std::optional<DirEntry>(DirEntry{found->name, nodes_[found->node].info.type, NodeId{found->node}});
}

Result<std::string> Index::readlink(NodeId symlink) const {
  return at(symlink).target;
}

Result<std::unique_ptr<image::RandomAccess>> Index::open(NodeId file) const {
  if (!at(file).content)
    return fail(ErrorKind::unsupported, "an index does not have the contents of this file");
  return std::make_unique<image::MemoryAccess>(*at(file).content);
}

const Facts* Index::facts(NodeId file) const {
  return at(file).elf ? &at(file).elf->facts : nullptr;
}

const LoaderLayout* Index::layout(NodeId file) const {
  return at(file).elf && at(file).elf->layout ? &*at(file).elf->layout : nullptr;
}

const std::vector<std::string>& Index::dlopen_hints(NodeId file) const {
  static const std::vector<std::string> k_none;
  return at(file).elf ? at(file).elf->hints : k_none;
}

}  // namespace orch::elf
