#include "evidence/prune.hpp"

#include "evidence/run_directory.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <sys/stat.h>
#include <unistd.h>

#include <map>

namespace orch::evidence {

namespace {

constexpr const char* k_hidden = ".appimage-orch-pruned-";

std::uint64_t bytes_below(const std::string& path) {
  const sys::Result<struct stat> info = sys::lstat_file(path);
  if (!info) return 0;
  if (!S_ISDIR(info->st_mode)) return S_ISREG(info->st_mode) ? static_cast<std::uint64_t>(info->st_size) : 0;
  const sys::Result<std::vector<std::string>> names = sys::list_dir(path);
  std::uint64_t bytes = 0;
  if (names)
    for (const std::string& name : *names) bytes += bytes_below(path + "/" + name);
  return bytes;
}

bool is_directory(const std::string& path) {
  const sys::Result<struct stat> info = sys::lstat_file(path);
  return info && S_ISDIR(info->st_mode);
}

}  // namespace

std::vector<RunSummary> to_prune(const std::vector<RunSummary>& runs, const PruneRule& rule) {
  std::vector<RunSummary> out;
  std::map<std::string, std::size_t> seen;  // of each application
  RunFilter filter;
  filter.app = rule.app;
  for (const RunSummary& run : runs) {
    if (!matches(run, filter)) continue;
    std::size_t& counted = seen[run.app];
    const std::size_t newer = counted;
    if (run.state != RunState::damaged) ++counted;  // it keeps nothing else from being kept
    if (run.state == RunState::running) continue;
    if (rule.keep && newer < *rule.keep) continue;
    if (rule.before && (!run.started || *run.started >= *rule.before)) continue;
    out.push_back(run);
  }
  return out;
}

Pruned would_prune(const std::string& path) {
  if (!is_run_directory(path))
    return {Pruned::Result::stays, "it has neither a run.report.json nor an inputs.json of this program", 0};
  if (is_running(path)) return {Pruned::Result::stays, "it runs", 0};
  const RunState state = read_run(path, path, {}, Parts::summary).summary.state;
  if (state != RunState::ended && may_run(path))
    return {Pruned::Result::stays, "its run.log cannot be locked: whether it runs cannot be told", 0};
  return {Pruned::Result::removed, "", bytes_below(path)};
}

Pruned prune_run(const std::string& path) {
  Pruned out = would_prune(path);
  if (out.result != Pruned::Result::removed) return out;
  // Hidden first, in one step: a list has the whole run or none of it.
  const std::string hidden =
      fmt::format("{}/{}{}-{}", sys::parent_path(path), k_hidden, sys::file_name(path), ::getpid());
  sys::Result<> done = sys::rename_file(path, hidden);
  if (done) done = sys::remove_tree(hidden);
  if (!done) return {Pruned::Result::failed, base::one_line(done.error()), 0};
  return out;
}

void remove_leftovers(const std::string& root) {
  const sys::Result<std::vector<std::string>> names = sys::list_dir(root);
  if (!names) return;
  for (const std::string& name : *names) {
    const std::string folder = root + "/" + name;
    if (!is_directory(folder)) continue;
    if (name.starts_with(k_hidden)) (void)sys::remove_tree(folder);
    const sys::Result<std::vector<std::string>> inner = sys::list_dir(folder);
    if (!inner || name.starts_with('.')) continue;
    for (const std::string& stamp : *inner)
      if (stamp.starts_with(k_hidden)) (void)sys::remove_tree(folder + "/" + stamp);
  }
}

}  // namespace orch::evidence
