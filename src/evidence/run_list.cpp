#include "evidence/run_list.hpp"

#include "base/text.hpp"
#include "evidence/moments.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <sys/stat.h>

#include <algorithm>
#include <set>

namespace orch::evidence {

using base::ErrorKind;
using base::fail;
using base::printable;

namespace {

bool is_directory(const std::string& path) {
  const sys::Result<struct stat> info = sys::lstat_file(path);
  return info && S_ISDIR(info->st_mode);
}

bool looks_like_run(const std::string& path) {
  return is_directory(path) && (has_run_files(path) || parse_stamp(sys::file_name(path)));
}

// The folder ROOT/APP, or the run that it is.
void list_folder(const std::string& root, const std::string& name, TimePoint now,
                 std::vector<RunSummary>& out) {
  const std::string folder = root + "/" + name;
  if (name.starts_with('.') || !is_directory(folder)) return;
  if (has_run_files(folder)) {
    out.push_back(read_run(folder, name, now, Parts::summary).summary);
    return;
  }
  const Result<std::vector<std::string>> names = sys::list_dir(folder);
  if (!names) {
    RunSummary& unreadable = out.emplace_back();
    unreadable.path = folder;
    unreadable.name = name;
    unreadable.app = name;
    unreadable.problem = base::one_line(names.error());
    return;
  }
  for (const std::string& stamp : *names)
    if (!stamp.starts_with('.') && looks_like_run(folder + "/" + stamp))
      out.push_back(read_run(folder + "/" + stamp, name + "/" + stamp, now, Parts::summary).summary);
}

// "x-2" before "x-10".
bool natural_less(const std::string& a, const std::string& b) {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

bool is_newer(const RunSummary& a, const RunSummary& b) {
  if (a.started != b.started) return a.started > b.started;  // one without comes last
  return a.name != b.name && natural_less(b.name, a.name);
}

std::string folder_of(const RunSummary& run) {
  return run.name.substr(0, run.name.find('/'));
}

bool is_app(const RunSummary& run, const std::string& word) {
  return run.app == word || folder_of(run) == word;
}

Result<RunSummary> ambiguous(const std::string& word, const std::vector<RunSummary>& found) {
  constexpr std::size_t k_most = 5;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < std::min(found.size(), k_most); ++i) names.push_back(printable(found[i].name));
  const std::string more = found.size() > k_most ? fmt::format(" and {} more", found.size() - k_most) : "";
  return fail(ErrorKind::usage, fmt::format("'{}' may be any of {} runs", printable(word), found.size()),
              fmt::format("name one of them: {}{}", base::join(names, ", "), more));
}

Result<RunSummary> unknown(const std::string& root, const std::string& word,
                           const std::vector<RunSummary>& runs) {
  std::set<std::string> apps;
  for (const RunSummary& run : runs) apps.insert(folder_of(run));
  const auto near = base::nearest(word, std::vector<std::string>(apps.begin(), apps.end()));
  if (is_directory(sys::absolute_path(word)) && word.find('/') != std::string::npos)
    return fail(ErrorKind::not_found,
                fmt::format("'{}' is no run: it has no run.report.json", printable(word)),
                "name a directory that 'run' left; 'appimage-orch evidence list' shows them");
  return fail(ErrorKind::not_found,
              fmt::format("there is no run '{}' below '{}'", printable(word), printable(root)),
              near ? fmt::format("did you mean '{}'?", printable(*near))
                   : "'appimage-orch evidence list' shows what there is; --dir names another place");
}

Result<RunSummary> choose(const std::string& root, const std::string& word,
                          const std::vector<RunSummary>& runs) {
  std::vector<RunSummary> found;
  for (const RunSummary& run : runs) {
    if (run.name == word) return run;
    if (run.name.starts_with(word) || sys::file_name(run.path).starts_with(word)) found.push_back(run);
  }
  // The list is sorted: the first is the newest.
  for (const RunSummary& run : runs)
    if (is_app(run, word)) return run;
  if (found.empty()) return unknown(root, word, runs);
  // The beginning of one application's name stands for the application.
  const std::string app = folder_of(found.front());
  const bool one_app =
      app.starts_with(word) &&
      std::all_of(found.begin(), found.end(), [&](const RunSummary& run) { return folder_of(run) == app; });
  if (found.size() == 1 || one_app) return found.front();
  return ambiguous(word, found);
}

}  // namespace

Result<std::vector<RunSummary>> list_runs(const std::string& root, TimePoint now) {
  std::vector<RunSummary> out;
  const Result<std::vector<std::string>> names = sys::list_dir(root);
  if (!names && names.error().kind == ErrorKind::not_found) return out;
  if (!names) return fail(names.error());
  for (const std::string& name : *names) list_folder(root, name, now, out);
  std::stable_sort(out.begin(), out.end(), is_newer);
  return out;
}

bool matches(const RunSummary& run, const RunFilter& filter) {
  if (!filter.app.empty() && !is_app(run, filter.app)) return false;
  if (!filter.outcome.empty() && run.outcome != filter.outcome && to_string(run.state) != filter.outcome)
    return false;
  return !filter.since || (run.started && *run.started >= *filter.since);
}

Result<Run> find_run(const std::string& root, const std::string& word, TimePoint now) {
  const std::string path = sys::absolute_path(word);
  if (is_directory(path) && has_run_files(path))
    return read_run(path, sys::path_within(path, root).value_or(path), now, Parts::all);
  std::string name = word;
  while (name.size() > 1 && name.back() == '/') name.pop_back();
  // A variant of an A/B is in no list.
  const std::string below = root + "/" + name;
  if (is_directory(below) && has_run_files(below)) return read_run(below, name, now, Parts::all);
  ORCH_TRY(const std::vector<RunSummary> runs, list_runs(root, now));
  ORCH_TRY(const RunSummary chosen, choose(root, name, runs));
  return read_run(chosen.path, chosen.name, now, Parts::all);
}

}  // namespace orch::evidence
