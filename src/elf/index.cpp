#include "elf/index.hpp"

#include "base/parallel.hpp"
#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <unordered_map>
#include <utility>

namespace orch::elf {

using base::ErrorKind;
using base::fail;
using image::DirEntry;
using image::NodeId;
using image::NodeInfo;
using image::NodeType;
using index_form::Draft;
using index_form::EntryRecord;
using index_form::FileRecord;
using index_form::NodeRecord;

namespace {

constexpr std::uint64_t k_most_script = 64U << 10;
// Files that one thread takes in turn: they lie near each other in an image.
constexpr std::size_t k_files_at_once = 64;
constexpr std::size_t k_directories_at_once = 16;
constexpr std::uint64_t k_most_kept = 4U << 20;  // bytes of one file

// All that is asked of the path of a file: paths themselves are not kept, for a small image may have very long ones.
enum class Folder { root, etc, usr, usr_lib, loader_config, bin, other };

Folder folder_in(Folder parent, std::string_view name) {
  if (parent == Folder::loader_config) return parent;
  if (parent == Folder::root && name == "etc") return Folder::etc;
  if (parent == Folder::root && name == "usr") return Folder::usr;
  if (parent == Folder::usr && name == "lib") return Folder::usr_lib;
  if (parent == Folder::etc && name == "ld.so.conf.d") return Folder::loader_config;
  return name == "bin" ? Folder::bin : Folder::other;
}

// What the loader, and whoever asks which distribution this is, reads of a root file system; and what says
// how an application is started.
bool is_kept(Folder folder, std::string_view name) {
  switch (folder) {
    case Folder::root:
      return name.ends_with(".desktop");
    case Folder::etc:
      return name == "ld.so.cache" || name == "ld.so.conf" || name == "ld.so.preload" || name == "os-release";
    case Folder::usr_lib:
      return name == "os-release";
    case Folder::loader_config:
      return true;
    case Folder::usr:
    case Folder::bin:
    case Folder::other:
      break;
  }
  return false;
}

// Walks a tree breadth first, one level at a time: directories of a level are read by all threads, and then numbered
// in order.
class IndexBuilder {
 public:
  IndexBuilder(const image::FileTree& tree, const IndexOptions& options) : tree_(tree), options_(options) {}

  Result<std::string> run() {
    ORCH_TRY(const Listed root, look({"", NodeType::directory, tree_.root()}));
    ORCH_CHECK(add(root, Folder::root));
    for (std::size_t depth = 0; !level_.empty(); ++depth) {
      if (depth > image::WalkLimits().depth)
        return fail(ErrorKind::corrupt,
                    fmt::format("directories are nested more than {} deep", image::WalkLimits().depth));
      std::vector<std::vector<Listed>> listings(level_.size());
      const base::Threads threads{tree_.is_thread_safe() ? options_.threads : 1, k_directories_at_once};
      ORCH_CHECK(
          base::for_each_in_parallel(level_.size(), threads, [&](unsigned, std::size_t at) -> Result<> {
            ORCH_TRY(listings[at], list(found_[level_[at]].node));
            return {};
          }));
      const std::vector<std::size_t> level = std::exchange(level_, {});
      for (std::size_t i = 0; i < level.size(); ++i) ORCH_CHECK(add_entries(level[i], listings[i]));
    }
    ORCH_CHECK(read_files());
    return index_form::write(draft_);
  }

 private:
  struct Found {
    NodeId node;
    Folder folder =
        Folder::other;  // a directory's own; of a file, by its first name, the one that it lies in
    bool kept = false;
  };
  // What a directory and its inodes say.
  struct Listed {
    DirEntry entry;
    NodeInfo info;
    std::string target;
  };

  Result<Listed> look(DirEntry entry) const {
    Listed out{std::move(entry), {}, {}};
    ORCH_TRY(out.info, tree_.stat(out.entry.node));
    if (out.entry.type == NodeType::symlink) {
      ORCH_TRY(out.target, tree_.readlink(out.entry.node));
    }
    return out;
  }

  Result<std::vector<Listed>> list(NodeId directory) {
    ORCH_TRY(std::vector<DirEntry> entries, tree_.list(directory));
    if (entries_.fetch_add(entries.size()) + entries.size() > options_.most_entries)
      return fail(ErrorKind::corrupt, fmt::format("the tree has more than {} files", options_.most_entries));
    std::vector<Listed> out;
    out.reserve(entries.size());
    for (DirEntry& entry : entries) {
      ORCH_TRY(Listed listed, look(std::move(entry)));
      out.push_back(std::move(listed));
    }
    return out;
  }

  // The number of the node in the index; the same for all names of a file.
  Result<std::size_t> add(const Listed& listed, Folder folder) {
    const NodeType type = listed.entry.type;
    const std::string& name = listed.entry.name;
    const auto [known, is_new] = numbers_.try_emplace(listed.entry.node.value, found_.size());
    if (!is_new) {
      if (type == NodeType::directory)
        return fail(ErrorKind::corrupt,
                    fmt::format("the directory '{}' stands in the tree twice", base::printable(name)));
      return known->second;
    }
    if (type == NodeType::directory && !name.empty()) folder = folder_in(folder, name);
    found_.push_back({listed.entry.node, folder, type != NodeType::directory && is_kept(folder, name)});
    Draft::Node& node = draft_.nodes.emplace_back();
    node.info = listed.info;
    node.target = listed.target;
    if (type == NodeType::directory) level_.push_back(known->second);
    if (type == NodeType::file && node.info.size > 0) files_.push_back(known->second);
    return known->second;
  }

  Result<> add_entries(std::size_t number, std::vector<Listed>& listing) {
    std::vector<Draft::Entry> out;
    out.reserve(listing.size());
    const Folder folder = found_[number].folder;
    for (Listed& listed : listing) {
      ORCH_TRY(const std::size_t node, add(listed, folder));
      out.push_back({std::move(listed.entry.name), node});
    }
    draft_.nodes[number].entries = std::move(out);
    return {};
  }

  // The contents of all files, when all are found; in the order of their nodes, which is the one of their places
  // in an image.
  Result<> read_files() {
    std::sort(files_.begin(), files_.end(),
              [&](std::size_t a, std::size_t b) { return found_[a].node < found_[b].node; });
    return base::for_each_in_parallel(
        files_.size(), {options_.threads, k_files_at_once},
        [&](unsigned, std::size_t at) { return read_file(files_[at], found_[files_[at]]); });
  }

  Result<> read_file(std::size_t number, const Found& found) {
    Draft::Node& node = draft_.nodes[number];
    ORCH_TRY(const std::unique_ptr<image::RandomAccess> file, tree_.open(found.node));
    if (found.kept && file->size() <= k_most_kept) {
      ORCH_TRY(node.content, image::read_exact(*file, 0, static_cast<std::size_t>(file->size())));
      return {};
    }
    ORCH_TRY(std::optional<Facts> facts, read_facts(*file));
    if (!facts) return keep_script(node, found.folder, *file);
    node.elf = std::make_unique<Draft::ElfFile>();
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
  static Result<> keep_script(Draft::Node& node, Folder folder, const image::RandomAccess& file) {
    if ((folder != Folder::root && folder != Folder::bin) || file.size() < 2 || file.size() > k_most_script)
      return {};
    ORCH_TRY(std::string head, image::read_exact(file, 0, 2));
    if (head != "#!") return {};
    ORCH_TRY(node.content, image::read_exact(file, 0, static_cast<std::size_t>(file.size())));
    return {};
  }

  const image::FileTree& tree_;
  const IndexOptions& options_;
  std::atomic<std::size_t> entries_ = 0;  // of all directories so far
  Draft draft_;
  std::vector<Found> found_;        // by number
  std::vector<std::size_t> level_;  // directories that are to be read
  std::vector<std::size_t> files_;  // numbers of files that are not empty
  std::unordered_map<std::uint64_t, std::size_t> numbers_;
};

}  // namespace

Result<std::shared_ptr<const Index>> Index::make(const image::FileTree& tree, const IndexOptions& options) {
  ORCH_TRY(std::string bytes, IndexBuilder(tree, options).run());
  return parse(std::move(bytes));
}

Result<std::shared_ptr<const Index>> Index::parse(std::string_view bytes, std::shared_ptr<const void> owner) {
  ORCH_TRY(const index_form::Sections sections, index_form::Sections::open(bytes));
  return std::shared_ptr<const Index>(new Index(bytes, std::move(owner), sections));
}

Result<std::shared_ptr<const Index>> Index::parse(std::string bytes) {
  const auto owner = std::make_shared<const std::string>(std::move(bytes));
  return parse(*owner, owner);
}

std::shared_ptr<const Index> Index::empty() {
  Draft draft;
  draft.nodes.resize(1);
  draft.nodes.front().info.type = NodeType::directory;
  draft.nodes.front().info.mode = 0755;
  return *parse(*index_form::write(draft));
}

Result<DirEntry> Index::entry(const EntryRecord& record) const {
  ORCH_TRY(const NodeRecord node, sections_.node(record.node));
  return DirEntry{std::string(sections_.text(record.name)), index_form::type_of(node), NodeId{record.node}};
}

std::vector<std::string> Index::texts(std::size_t first, std::size_t count) const {
  std::vector<std::string> out;
  out.reserve(count);
  for (std::size_t i = first; i < first + count; ++i) out.emplace_back(sections_.text(sections_.word(i)));
  return out;
}

Result<NodeInfo> Index::stat(NodeId node) const {
  ORCH_TRY(const NodeRecord record, sections_.node(node.value));
  NodeInfo info;
  info.type = index_form::type_of(record);
  info.mode = record.mode & 07777U;
  info.size = record.size;
  info.links = record.links;
  info.device_major = record.device_major;
  info.device_minor = record.device_minor;
  info.opaque = (record.mode & index_form::k_opaque) != 0;
  info.redirected = (record.mode & index_form::k_redirected) != 0;
  info.whiteout_mark = (record.mode & index_form::k_whiteout) != 0;
  return info;
}

Result<std::vector<DirEntry>> Index::list(NodeId directory) const {
  std::vector<DirEntry> out;
  ORCH_TRY(const NodeRecord record, sections_.node(directory.value));
  if (index_form::type_of(record) != NodeType::directory) return out;
  out.reserve(record.second);
  for (std::size_t i = 0; i < record.second; ++i) {
    ORCH_TRY(const EntryRecord at, sections_.entry(record.first + i));
    ORCH_TRY(DirEntry made, entry(at));
    out.push_back(std::move(made));
    const std::string& name = out.back().name;
    if (!image::is_valid_name(name) || (i > 0 && name <= out[i - 1].name))
      return index_form::damaged("has a directory with impossible names");
  }
  return out;
}

Result<std::optional<DirEntry>> Index::lookup(NodeId directory, std::string_view name) const {
  ORCH_TRY(const NodeRecord record, sections_.node(directory.value));
  if (index_form::type_of(record) != NodeType::directory) return std::optional<DirEntry>();
  std::size_t begin = record.first;
  std::size_t end = begin + record.second;
  while (begin < end) {
    const std::size_t middle = begin + (end - begin) / 2;
    ORCH_TRY(const EntryRecord at, sections_.entry(middle));
    const int order = sections_.text(at.name).compare(name);
    if (order == 0) {
      ORCH_TRY(DirEntry found, entry(at));
      return std::optional<DirEntry>(std::move(found));
    }
    (order < 0 ? begin : end) = order < 0 ? middle + 1 : middle;
  }
  return std::optional<DirEntry>();
}

Result<std::string> Index::readlink(NodeId symlink) const {
  ORCH_TRY(const NodeRecord record, sections_.node(symlink.value));
  return std::string(index_form::type_of(record) == NodeType::symlink ? sections_.text(record.first)
                                                                      : std::string_view());
}

Result<std::unique_ptr<image::RandomAccess>> Index::open(NodeId file) const {
  ORCH_TRY(const NodeRecord record, sections_.node(file.value));
  if (index_form::type_of(record) != NodeType::file || (record.mode & index_form::k_content) == 0)
    return fail(ErrorKind::unsupported, "an index does not have the contents of this file");
  return std::make_unique<image::MemoryAccess>(std::string(sections_.text(record.second)));
}

Result<std::optional<std::size_t>> Index::elf_file(NodeId file) const {
  ORCH_TRY(const NodeRecord record, sections_.node(file.value));
  if (index_form::type_of(record) != NodeType::file || record.first == 0) return std::optional<std::size_t>();
  return std::optional(record.first - std::size_t{1});
}

Result<std::optional<FileRecord>> Index::file(NodeId node) const {
  ORCH_TRY(const std::optional<std::size_t> number, elf_file(node));
  if (!number) return std::optional<FileRecord>();
  ORCH_TRY(const FileRecord record, sections_.file(*number));
  return std::optional(record);
}

Result<std::optional<Facts>> Index::facts(NodeId node) const {
  ORCH_TRY(const std::optional<FileRecord> known, file(node));
  if (!known) return std::optional<Facts>();
  const FileRecord& record = *known;
  const auto text = [&](std::uint32_t at) { return std::string(sections_.text(at)); };
  Facts out;
  out.is_64 = (record.bits & index_form::k_is_64) != 0;
  out.machine = record.machine;
  out.type = record.type;
  out.dynamic = (record.bits & index_form::k_dynamic) != 0;
  out.interpreter = text(record.interpreter);
  out.soname = text(record.soname);
  std::size_t at = record.first;
  const auto list = [&](std::size_t count) { return texts(std::exchange(at, at + count), count); };
  out.needed = list(record.needed);
  out.rpath = list(record.rpath);
  out.runpath = list(record.runpath);
  out.has_runpath = (record.bits & index_form::k_has_runpath) != 0;
  for (std::size_t i = 0; i < record.versions; ++i, at += 2) {
    const std::uint32_t version = sections_.word(at + 1);
    out.versions.push_back(
        {text(sections_.word(at)), text(version & ~index_form::k_weak), (version & index_form::k_weak) != 0});
  }
  out.definitions = list(record.definitions);
  out.versioned = (record.bits & index_form::k_versioned) != 0;
  out.glibc = text(record.glibc);
  out.isa_needed = record.isa_needed;
  out.isa_used = record.isa_used;
  out.ibt = (record.bits & index_form::k_ibt) != 0;
  out.shstk = (record.bits & index_form::k_shstk) != 0;
  out.build_id = text(record.build_id);
  out.flags = record.flags;
  out.flags_1 = record.flags_1;
  out.executable_stack = (record.bits & index_form::k_executable_stack) != 0;
  out.defect = text(record.defect);
  return std::optional(std::move(out));
}

Result<std::optional<LoaderLayout>> Index::layout(NodeId node) const {
  ORCH_TRY(const std::optional<FileRecord> record, file(node));
  if (!record || record->layout == 0) return std::optional<LoaderLayout>();
  const std::size_t first = record->first + record->words() - record->layout;
  LoaderLayout out;
  out.lib = sections_.text(sections_.word(first));
  out.legacy_hwcap = sections_.word(first + 1) != 0;
  out.system_directories = texts(first + 2, record->layout - std::size_t{2});
  return std::optional(std::move(out));
}

Result<std::vector<std::string>> Index::dlopen_hints(NodeId node) const {
  ORCH_TRY(const std::optional<FileRecord> record, file(node));
  if (!record) return std::vector<std::string>();
  return texts(record->first + record->words() - record->layout - record->hints, record->hints);
}

}  // namespace orch::elf
