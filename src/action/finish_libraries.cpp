// The part of finish-stack that makes /etc/ld.so.cache.
#include "action/finish_parts.hpp"
#include "elf/library_cache.hpp"

#include <fmt/format.h>

#include <optional>
#include <utility>

namespace orch::action {

namespace {

constexpr const char* k_cache = "etc/ld.so.cache";
constexpr std::string_view k_generator = "appimage-orch";
constexpr std::uint64_t k_max_loader_cache = std::uint64_t{64} << 20;

Result<bool> is_current(const image::FileTree& view, const std::vector<elf::LdCacheEntry>& entries) {
  ORCH_TRY(const image::Resolution found, image::resolve(view, k_cache, image::Links::in_root));
  if (found.outcome != image::Resolution::Outcome::found || found.type != image::NodeType::file) return false;
  ORCH_TRY(const auto file, view.open(found.node));
  if (file->size() > k_max_loader_cache) return false;
  ORCH_TRY(const std::string bytes, image::read_exact(*file, 0, static_cast<std::size_t>(file->size())));
  const Result<elf::LdCache> cache = elf::LdCache::parse(bytes);
  return cache && elf::same_entries(*cache, entries);
}

}  // namespace

Result<FinishReport> finish_library_cache(const FinishStack& stack, image::SmallTree& tree) {
  FinishReport report;
  report.id = "ld-so-cache";
  ORCH_TRY(const std::optional<elf::LibraryScan> scan, elf::scan_libraries(stack.view));
  if (!scan) {
    report.detail = "the stack has no loader of glibc at /lib64/ld-linux-x86-64.so.2 that would read it";
    return report;
  }
  const std::string what =
      fmt::format("{} libraries in {} directories", scan->entries.size(), scan->directories.size());
  ORCH_TRY(const bool current, is_current(stack.view, scan->entries));
  if (current) {
    report.status = FinishReport::Status::current;
    report.detail = "the stack's own lists these " + what;
    return report;
  }
  report.status = FinishReport::Status::made;
  report.detail = what;
  report.files = {k_cache};
  for (const std::string& directory : scan->directories) report.notes.push_back("looked into " + directory);
  tree.emplace(k_cache, image::SmallEntry{false, elf::write_ld_cache(scan->entries, k_generator), 0644});
  return report;
}

}  // namespace orch::action
