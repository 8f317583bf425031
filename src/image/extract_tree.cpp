#include "image/extract_tree.hpp"

#include "base/text.hpp"
#include "image/listing.hpp"
#include "image/staging.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace orch::image {

using base::ErrorKind;
using base::fail;

namespace {

constexpr std::size_t k_chunk = 1U << 20;

struct TreeFile {
  NodeId node;
  std::string name;
  DirIndex directory = 0;
  std::uint32_t mode = 0;
  std::int64_t mtime = 0;
  std::uint64_t size = 0;
  hash::Digest digest{};
};

struct TreeName {
  std::string name;
  DirIndex directory = 0;
  std::size_t file = 0;  // hard links
  std::string target{};  // symlinks
  std::int64_t mtime = 0;
};

struct TreePlan {
  ListingBuilder listing;
  Extraction result;
  std::vector<TreeFile> files;
  std::vector<TreeName> hard_links;
  std::vector<TreeName> symlinks;
};

// Makes the directories, and notes everything else.
class TreePlanner {
 public:
  TreePlanner(const FileTree& tree, Staging& staging, const ExtractLimits& limits)
      : tree_(tree), staging_(staging), limits_(limits), directories_{{"", DirIndex{0}}} {}

  Result<TreePlan> run() {
    ORCH_TRY(const NodeInfo root, tree_.stat(tree_.root()));
    staging_.set_root(root.mode, root.mtime);
    const WalkLimits limits{static_cast<std::size_t>(limits_.entries), limits_.depth};
    ORCH_CHECK(walk(
        tree_, [this](const WalkEntry& entry) { return visit(entry); }, limits));
    plan_.listing.sort();
    std::sort(plan_.result.skipped.begin(), plan_.result.skipped.end(),
              [](const SkippedNode& a, const SkippedNode& b) { return a.path < b.path; });
    std::sort(plan_.result.special_bits.begin(), plan_.result.special_bits.end());
    return std::move(plan_);
  }

 private:
  Result<> visit(const WalkEntry& entry) {
    const std::size_t slash = entry.path.rfind('/');
    const std::string name = entry.path.substr(slash == std::string::npos ? 0 : slash + 1);
    const DirIndex parent = directories_.at(entry.path.substr(0, slash == std::string::npos ? 0 : slash));
    ORCH_TRY(const NodeInfo info, tree_.stat(entry.node));
    if (info.type != entry.type)
      return fail(ErrorKind::corrupt,
                  fmt::format("'{}' is called a {} and is a {}", base::printable(entry.path),
                              to_string(entry.type), to_string(info.type)));
    hash::TreeEntry listed;
    listed.path = entry.path;
    listed.mode = info.mode & 0777;
    const bool kept = info.type == NodeType::file || info.type == NodeType::directory;
    if (kept && (info.mode & 07000) != 0) plan_.result.special_bits.push_back(entry.path);
    if (info.type == NodeType::file) return file(entry, info, name, parent, std::move(listed));
    if (info.type == NodeType::directory) {
      listed.type = hash::EntryType::directory;
      listed.mode |= 0700;
      plan_.listing.add(std::move(listed), k_no_file);
      ORCH_TRY(directories_[entry.path], staging_.add_directory(parent, name, info.mode, info.mtime));
      return {};
    }
    if (info.type != NodeType::symlink) {
      plan_.result.skipped.push_back({entry.path, info.type});
      return {};
    }
    ORCH_TRY(std::string target, tree_.readlink(entry.node));
    listed.type = hash::EntryType::symlink;
    listed.mode = 0777;
    listed.size = target.size();
    listed.target = target;
    plan_.listing.add(std::move(listed), k_no_file);
    plan_.symlinks.push_back({name, parent, 0, std::move(target), info.mtime});
    return {};
  }

  Result<> file(const WalkEntry& entry, const NodeInfo& info, const std::string& name, DirIndex parent,
                hash::TreeEntry listed) {
    listed.size = info.size;
    const auto [known, is_new] = by_node_.emplace(entry.node, plan_.files.size());
    plan_.listing.add(std::move(listed), static_cast<std::uint32_t>(known->second));
    if (!is_new) {
      plan_.hard_links.push_back({name, parent, known->second, {}, 0});
      return {};
    }
    total_ += info.size;
    if (info.size > limits_.file_bytes || total_ > limits_.total_bytes)
      return fail(ErrorKind::corrupt,
                  fmt::format("the image unpacks to more than {}",
                              base::human_size(std::min(limits_.total_bytes, limits_.file_bytes))),
                  "this looks like a decompression bomb; do not use it");
    plan_.files.push_back({entry.node, name, parent, info.mode, info.mtime, info.size, {}});
    return {};
  }

  const FileTree& tree_;
  Staging& staging_;
  const ExtractLimits& limits_;
  std::map<std::string, DirIndex> directories_;
  std::map<NodeId, std::size_t> by_node_;
  std::uint64_t total_ = 0;
  TreePlan plan_;
};

// Files are taken in order, and those taken are finished: the first failure in order is always the same.
class TreeCopier {
 public:
  TreeCopier(const FileTree& tree, const Staging& staging, TreePlan& plan)
      : tree_(tree), staging_(staging), plan_(plan), failed_(plan.files.size()) {}

  Result<> run(unsigned threads) {
    const std::size_t useful =
        std::clamp<std::size_t>(threads, 1, std::max<std::size_t>(1, plan_.files.size()));
    std::vector<std::thread> pool;
    for (std::size_t i = 1; i < useful; ++i) pool.emplace_back([this] { work(); });
    work();
    for (std::thread& thread : pool) thread.join();
    if (failed_ != plan_.files.size()) return fail(std::move(error_));
    return {};
  }

 private:
  void work() {
    StagingWriter writer(staging_);
    std::vector<std::uint8_t> buffer(k_chunk);
    while (!stop_) {
      const std::size_t at = next_++;
      if (at >= plan_.files.size()) return;
      TreeFile& file = plan_.files[at];
      Result<> done = copy(file, writer, buffer);
      if (done) continue;
      stop_ = true;
      const std::lock_guard lock(guard_);
      if (at < failed_) {
        failed_ = at;
        error_ = std::move(done).error().while_doing(
            "extracting '" + base::printable(staging_.path_of(file.directory, file.name)) + "'");
      }
    }
  }

  Result<std::unique_ptr<RandomAccess>> open(NodeId node) {
    const std::lock_guard lock(guard_);
    return tree_.open(node);
  }

  Result<> copy(TreeFile& file, StagingWriter& writer, std::vector<std::uint8_t>& buffer) {
    ORCH_TRY(const std::unique_ptr<RandomAccess> data, open(file.node));
    ORCH_TRY(sys::Fd out, writer.create_file(file.directory, file.name));
    hash::Hasher hasher;
    for (std::uint64_t at = 0; at < file.size;) {
      const std::span<std::uint8_t> part(
          buffer.data(), static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), file.size - at)));
      ORCH_CHECK(read_full(*data, at, part));
      hasher.update(part.data(), part.size());
      // Holes stay holes.
      const bool empty = std::all_of(part.begin(), part.end(), [](std::uint8_t byte) { return byte == 0; });
      const std::string_view bytes(reinterpret_cast<const char*>(part.data()), part.size());
      if (empty) {
        if (::lseek(out.get(), static_cast<off_t>(part.size()), SEEK_CUR) < 0)
          return fail(base::errno_error(errno, "write", file.name));
      } else {
        ORCH_CHECK(sys::write_all(out.get(), bytes, file.name));
      }
      at += part.size();
    }
    if (::ftruncate(out.get(), static_cast<off_t>(file.size)) != 0)
      return fail(base::errno_error(errno, "write", file.name));
    file.digest = hasher.finish();
    return writer.finish_file(std::move(out), file.directory, file.name, file.mode, file.mtime);
  }

  const FileTree& tree_;
  const Staging& staging_;
  TreePlan& plan_;
  std::mutex guard_;
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> stop_{false};
  std::size_t failed_;
  base::Error error_;
};

Result<Extraction> extract_into(const FileTree& tree, Staging& staging, const ExtractOptions& options) {
  ORCH_TRY(TreePlan plan, TreePlanner(tree, staging, options.limits).run());
  ORCH_CHECK(TreeCopier(tree, staging, plan).run(options.threads));
  StagingWriter writer(staging);
  for (const TreeName& link : plan.hard_links) {
    const TreeFile& file = plan.files[link.file];
    ORCH_CHECK(writer.make_hard_link(file.directory, file.name, link.directory, link.name));
  }
  for (const TreeName& link : plan.symlinks)
    ORCH_CHECK(writer.make_symlink(link.directory, link.name, link.target, link.mtime));
  ORCH_CHECK(staging.finish());
  std::vector<hash::Digest> digests;
  digests.reserve(plan.files.size());
  for (const TreeFile& file : plan.files) digests.push_back(file.digest);
  plan.result.listing = plan.listing.take(digests);
  return std::move(plan.result);
}

}  // namespace

Result<Extraction> extract_tree(const FileTree& tree, const std::string& target,
                                const ExtractOptions& options) {
  ORCH_TRY(Staging staging, Staging::create(target));
  Result<Extraction> done = extract_into(tree, staging, options);
  if (!done) static_cast<void>(sys::remove_tree(target));
  return done;
}

}  // namespace orch::image
