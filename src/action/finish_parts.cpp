#include "action/finish_parts.hpp"

#include "base/text.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <set>
#include <utility>

namespace orch::action {

using image::DirEntry;
using image::FileTree;
using image::NodeType;
using image::Resolution;

namespace {

constexpr std::uint64_t k_max_input = std::uint64_t{16} << 20;
constexpr std::uint64_t k_max_inputs = std::uint64_t{256} << 20;
constexpr std::size_t k_max_notes = 20;
// A second is usual; who waits for a terminal or a bus would wait for ever.
constexpr std::chrono::minutes k_tool_limit{5};

constexpr std::array k_library_directories =
    std::to_array<std::string_view>({"usr/lib64", "usr/lib/x86_64-linux-gnu", "usr/lib"});

std::string without(std::string text, std::string_view part) {
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos;) text.erase(at, part.size());
  return text;
}

Result<std::string> read_all(const FileTree& view, image::NodeId node) {
  ORCH_TRY(const auto file, view.open(node));
  return image::read_exact(*file, 0, static_cast<std::size_t>(file->size()));
}

}  // namespace

Result<std::optional<ViewPlace>> find_in_view(const FileTree& view, std::string_view path, NodeType type) {
  ORCH_TRY(Resolution found, image::resolve(view, path, image::Links::in_root));
  if (found.outcome != Resolution::Outcome::found || found.type != type) return std::optional<ViewPlace>();
  return std::optional(ViewPlace{std::move(found.path), found.node});
}

Result<std::optional<std::string>> read_in_view(const FileTree& view, std::string_view path,
                                                std::uint64_t limit) {
  ORCH_TRY(const std::optional<ViewPlace> place, find_in_view(view, path, NodeType::file));
  if (!place) return std::optional<std::string>();
  ORCH_TRY(const image::NodeInfo info, view.stat(place->node));
  if (info.size > limit) return std::optional<std::string>();
  ORCH_TRY(std::string bytes, read_all(view, place->node));
  return std::optional(std::move(bytes));
}

Result<std::vector<ViewPlace>> library_directories(const FileTree& view) {
  std::vector<ViewPlace> out;
  std::set<image::NodeId> seen;
  for (const std::string_view path : k_library_directories) {
    ORCH_TRY(std::optional<ViewPlace> place, find_in_view(view, path, NodeType::directory));
    if (place && seen.insert(place->node).second) out.push_back(*std::move(place));
  }
  return out;
}

Result<CacheInputs> read_cache_inputs(const image::MergedView& view, const ViewPlace& directory,
                                      const std::string& cache,
                                      const std::function<bool(std::string_view)>& wanted,
                                      std::vector<std::string>& notes) {
  CacheInputs out;
  std::set<std::size_t> layers;
  std::uint64_t total = 0;
  ORCH_TRY(const std::vector<DirEntry> names, view.list(directory.node));
  for (const DirEntry& entry : names) {
    if (!wanted(entry.name)) continue;
    const std::string path = directory.path + "/" + entry.name;
    ORCH_TRY(const std::optional<ViewPlace> place, find_in_view(view, path, NodeType::file));
    if (!place) continue;
    ORCH_TRY(const image::NodeInfo info, view.stat(place->node));
    if (info.size > k_max_input || total + info.size > k_max_inputs) {
      notes.push_back(fmt::format("{}: left out, it is too large ({})", base::printable(path),
                                  base::human_size(info.size)));
      continue;
    }
    total += info.size;
    layers.insert(view.layer_of(place->node));
    ORCH_TRY(out.files[entry.name], read_all(view, place->node));
  }
  ORCH_TRY(const std::optional<ViewPlace> made, find_in_view(view, cache, NodeType::file));
  out.of_one_layer = made && layers.size() == 1 && *layers.begin() == view.layer_of(made->node);
  return out;
}

Result<> stage_files(const std::string& directory, const std::map<std::string, std::string>& files) {
  ORCH_CHECK(sys::make_dirs(directory, 0755));
  for (const auto& [name, bytes] : files) ORCH_CHECK(sys::write_atomic(directory + "/" + name, bytes));
  return {};
}

Result<bool> run_host_tool(const FinishStack& stack, std::vector<std::string> argv, FinishReport& report) {
  sys::Command command;
  const std::string program = sys::file_name(argv.front());
  command.argv = std::move(argv);
  command.directory = stack.context.scratch;
  command.environment = sys::Environment{{"PATH", "/usr/bin:/bin"},
                                         {"LC_ALL", "C"},
                                         {"TZ", "UTC"},
                                         {"HOME", stack.context.scratch},
                                         {"XDG_DATA_DIRS", stack.context.scratch},
                                         {"PKGSYSTEM_ENABLE_FSYNC", "0"}};
  command.umask = 022;
  command.timeout = k_tool_limit;
  ORCH_TRY(const sys::Exit exit, stack.context.processes->run(command));
  // Where this machine had the copies is nobody's business, and would make the report another one elsewhere.
  const std::string said = without(exit.errors, stack.context.scratch + "/");
  for (const std::string_view line : base::split(said, '\n'))
    if (!base::trim(line).empty() && report.notes.size() < k_max_notes)
      report.notes.push_back(fmt::format("{}: {}", program, base::printable(base::trim(line))));
  if (exit.ok()) return true;
  // Not a report: that would be kept as the step's result.
  if (exit.timed_out)
    return base::fail(
        base::ErrorKind::tool, fmt::format("{} was ended after {} minutes", program, k_tool_limit.count()),
        fmt::format("run {} by hand to see what it waits for; finish = \"off\" in [stack] does without the "
                    "caches of the stack",
                    program));
  report.status = FinishReport::Status::not_done;
  report.detail = fmt::format("{} {}", program, exit.describe());
  return false;
}

}  // namespace orch::action
