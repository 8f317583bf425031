#include "image/squashfs_plan.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace orch::image {

using base::ErrorKind;
using base::fail;

namespace {

// Files from this size on are divided, so that several threads can work on one.
constexpr std::uint64_t k_large_file = 4U << 20;
constexpr std::uint64_t k_piece_bytes = 1U << 20;
// Small files are handed out together.
constexpr std::uint64_t k_batch_bytes = 256U << 10;
constexpr std::uint32_t k_batch_files = 64;

class Planner {
 public:
  Planner(SquashfsMeta& meta, Staging& staging, const ExtractLimits& limits)
      : meta_(meta), staging_(staging), limits_(limits) {}

  Result<SquashfsPlan> run() {
    const std::uint64_t root = meta_.super().root_inode;
    ORCH_TRY(const SquashfsInode inode, meta_.inode(root));
    if (inode.type != NodeType::directory)
      return fail(ErrorKind::corrupt, "the root of the SquashFS payload is no directory");
    staging_.set_root(inode.mode, inode.mtime);
    ORCH_CHECK(directory(root, inode, 0, "", 0));
    finish_result();
    divide();
    return std::move(plan_);
  }

 private:
  Result<> directory(std::uint64_t reference, const SquashfsInode& inode, DirIndex index,
                     const std::string& prefix, std::size_t depth);
  Result<> entry(const DirEntry& item, DirIndex parent, const std::string& path, std::size_t depth);
  Result<> file(const DirEntry& item, DirIndex parent, SquashfsInode inode, hash::TreeEntry listed);
  void finish_result();
  void divide();
  void divide_large(std::uint32_t at);

  SquashfsMeta& meta_;
  Staging& staging_;
  const ExtractLimits& limits_;
  SquashfsPlan plan_;
  std::uint64_t total_bytes_ = 0;
  std::unordered_set<std::uint64_t> directories_;
  std::unordered_map<std::uint64_t, std::uint32_t> file_by_inode_;
};

Result<> Planner::directory(std::uint64_t reference, const SquashfsInode& inode, DirIndex index,
                            const std::string& prefix, std::size_t depth) {
  if (depth > limits_.depth)
    return fail(ErrorKind::corrupt, fmt::format("'{}' lies more than {} directories deep",
                                                base::printable(prefix), limits_.depth));
  if (!directories_.insert(reference).second)
    return fail(ErrorKind::corrupt,
                fmt::format("the directory '{}' stands in the image twice", base::printable(prefix)));
  ORCH_TRY(const std::vector<DirEntry> entries, meta_.entries(inode));
  for (const DirEntry& item : entries) ORCH_CHECK(entry(item, index, prefix + item.name, depth));
  return {};
}

Result<> Planner::entry(const DirEntry& item, DirIndex parent, const std::string& path, std::size_t depth) {
  if (plan_.listing.size() + plan_.result.skipped.size() >= limits_.entries)
    return fail(ErrorKind::corrupt, fmt::format("the image has more than {} entries", limits_.entries));
  ORCH_TRY(SquashfsInode inode, meta_.inode(item.node.value));
  if (inode.type != item.type)
    return fail(ErrorKind::corrupt, fmt::format("'{}' is called a {} and is a {}", base::printable(path),
                                                to_string(item.type), to_string(inode.type)));
  hash::TreeEntry listed;
  listed.path = path;
  listed.mode = inode.mode & 0777;
  const bool kept = inode.type == NodeType::file || inode.type == NodeType::directory;
  if (kept && (inode.mode & 07000) != 0) plan_.result.special_bits.push_back(path);
  if (inode.type == NodeType::file) return file(item, parent, std::move(inode), std::move(listed));
  if (inode.type == NodeType::directory) {
    listed.type = hash::EntryType::directory;
    listed.mode |= 0700;
    plan_.listing.add(std::move(listed), k_no_file);
    ORCH_TRY(const DirIndex index, staging_.add_directory(parent, item.name, inode.mode, inode.mtime));
    return directory(item.node.value, inode, index, path + "/", depth + 1);
  }
  if (inode.type == NodeType::symlink) {
    listed.type = hash::EntryType::symlink;
    listed.mode = 0777;
    listed.size = inode.target.size();
    listed.target = inode.target;
    plan_.listing.add(std::move(listed), k_no_file);
    plan_.symlinks.push_back({item.name, parent, inode.mtime, std::move(inode.target)});
    return {};
  }
  plan_.result.skipped.push_back({path, inode.type});
  return {};
}

Result<> Planner::file(const DirEntry& item, DirIndex parent, SquashfsInode inode, hash::TreeEntry listed) {
  listed.size = inode.size;
  const auto next = static_cast<std::uint32_t>(plan_.files.size());
  const auto [known, is_new] = file_by_inode_.emplace(item.node.value, next);
  const std::uint32_t index = known->second;
  plan_.listing.add(std::move(listed), index);
  if (!is_new) {
    plan_.hard_links.push_back({item.name, parent, index});
    return {};
  }
  total_bytes_ += inode.size;
  if (inode.size > limits_.file_bytes || total_bytes_ > limits_.total_bytes)
    return fail(ErrorKind::corrupt,
                fmt::format("the image unpacks to more than {}",
                            base::human_size(std::min(limits_.total_bytes, limits_.file_bytes))),
                "this looks like a decompression bomb; do not use it");
  PlannedFile planned;
  planned.name = item.name;
  planned.directory = parent;
  planned.mode = inode.mode;
  if (inode.has_fragment()) {
    ORCH_TRY(planned.fragment, meta_.fragment(inode.fragment));
  }
  planned.inode = std::move(inode);
  plan_.files.push_back(std::move(planned));
  return {};
}

void Planner::finish_result() {
  plan_.listing.sort();
  const auto by_path = [](const SkippedNode& a, const SkippedNode& b) { return a.path < b.path; };
  std::sort(plan_.result.skipped.begin(), plan_.result.skipped.end(), by_path);
  std::sort(plan_.result.special_bits.begin(), plan_.result.special_bits.end());
}

std::uint64_t place_of(const PlannedFile& file) {
  if (!file.inode.blocks.empty()) return file.inode.blocks_start;
  return file.inode.has_fragment() ? file.fragment.start : 0;
}

void Planner::divide_large(std::uint32_t at) {
  const SquashfsInode& inode = plan_.files[plan_.order[at]].inode;
  const auto step =
      static_cast<std::uint32_t>(std::max<std::uint64_t>(1, k_piece_bytes / meta_.super().block_size));
  std::uint64_t place = inode.blocks_start;
  for (std::uint32_t block = 0; block < inode.blocks.size(); block += step) {
    const std::uint32_t end = std::min(block + step, static_cast<std::uint32_t>(inode.blocks.size()));
    plan_.pieces.push_back({at, 1, block, end - block, place});
    for (std::uint32_t i = block; i < end; ++i) place += inode.blocks[i] & (k_squashfs_stored - 1);
  }
}

// Reading goes through the payload once, from front to back. Tails that share a fragment block come together.
void Planner::divide() {
  std::vector<PlannedFile>& files = plan_.files;
  plan_.order.resize(files.size());
  std::iota(plan_.order.begin(), plan_.order.end(), 0U);
  std::sort(plan_.order.begin(), plan_.order.end(), [&](std::uint32_t a, std::uint32_t b) {
    const std::uint64_t place_a = place_of(files[a]);
    const std::uint64_t place_b = place_of(files[b]);
    if (place_a != place_b) return place_a < place_b;
    if (files[a].inode.fragment_offset != files[b].inode.fragment_offset)
      return files[a].inode.fragment_offset < files[b].inode.fragment_offset;
    return a < b;
  });
  std::uint32_t at = 0;
  while (at < plan_.order.size()) {
    const SquashfsInode& inode = files[plan_.order[at]].inode;
    if (inode.size > k_large_file && inode.blocks.size() > 1) {
      divide_large(at++);
      continue;
    }
    const std::uint32_t first = at;
    std::uint64_t bytes = 0;
    while (at < plan_.order.size() && at - first < k_batch_files && bytes < k_batch_bytes) {
      const SquashfsInode& next = files[plan_.order[at]].inode;
      if (next.size > k_large_file && next.blocks.size() > 1) break;
      bytes += next.size;
      ++at;
    }
    plan_.pieces.push_back({first, at - first, 0, 0, 0});
  }
}

}  // namespace

Result<SquashfsPlan> plan_squashfs(SquashfsMeta& meta, Staging& staging, const ExtractLimits& limits) {
  return Planner(meta, staging, limits).run();
}

}  // namespace orch::image
