// The parts of finish-stack that programs of this machine make: GSettings schemas, the MIME database, icon
// themes. Their results do not depend on the architecture. They get copies of the files that they read in a
// private directory, never the stack.
#include "action/finish_parts.hpp"
#include "base/text.hpp"
#include "image/directory_tree.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

namespace orch::action {

using image::DirEntry;
using image::NodeType;
using Status = FinishReport::Status;

namespace {

constexpr std::uint64_t k_max_output = std::uint64_t{64} << 20;

// "1 file", "2 files".
std::string counted(std::size_t count, std::string_view thing) {
  return fmt::format("{} {}{}", count, thing, count == 1 ? "" : "s");
}

// What a cache that cannot be made here means.
FinishReport without_tool(FinishReport report, std::string_view program, std::string_view debian,
                          std::string_view fedora) {
  report.status = Status::not_done;
  report.detail = fmt::format("'{}' is not installed on this machine", program);
  report.remedy = fmt::format("install the package '{}' (Debian) or '{}' (Fedora)", debian, fedora);
  return report;
}

// The first of several tools of the rule that is there.
std::string first_tool(const Context& context, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names)
    if (std::string path = context.tool(name); !path.empty()) return path;
  return {};
}

// Puts a file into the layer, unless the stack has it with these bytes.
Result<bool> put_if_other(const FinishStack& stack, image::SmallTree& tree, const std::string& path,
                          std::string bytes) {
  ORCH_TRY(const auto there, read_in_view(stack.view, path, bytes.size()));
  if (there && *there == bytes) return false;
  tree.insert_or_assign(path, image::SmallEntry{false, std::move(bytes), 0644});
  return true;
}

bool is_schema(std::string_view name) {
  return name.ends_with(".gschema.xml") || name.ends_with(".enums.xml") ||
         name.ends_with(".gschema.override");
}

bool is_mime_package(std::string_view name) {
  return name.ends_with(".xml");
}

// Everything that update-mime-database made.
Result<std::size_t> take_mime(const FinishStack& stack, const std::string& made, const std::string& target,
                              image::SmallTree& tree) {
  std::size_t changed = 0;
  ORCH_TRY(const auto output, image::DirectoryTree::open(made, image::OverlayMarks::none));
  ORCH_CHECK(image::walk(*output, [&](const image::WalkEntry& entry) -> Result<> {
    if (entry.type != NodeType::file || entry.path.starts_with("packages/")) return {};
    ORCH_TRY(std::optional<std::string> bytes, read_in_view(*output, entry.path, k_max_output));
    if (!bytes) return {};
    ORCH_TRY(const bool other, put_if_other(stack, tree, target + "/" + entry.path, *std::move(bytes)));
    if (other) ++changed;
    return {};
  }));
  return changed;
}

}  // namespace

Result<FinishReport> finish_schemas(const FinishStack& stack, image::SmallTree& tree) {
  FinishReport report;
  report.id = "gsettings-schemas";
  ORCH_TRY(const auto directory, find_in_view(stack.view, "usr/share/glib-2.0/schemas", NodeType::directory));
  CacheInputs inputs;
  if (directory) {
    ORCH_TRY(inputs, read_cache_inputs(stack.view, *directory, directory->path + "/gschemas.compiled",
                                       is_schema, report.notes));
  }
  if (inputs.files.empty()) {
    report.detail = "the stack has no schemas";
    return report;
  }
  if (inputs.of_one_layer) {
    report.status = Status::current;
    report.detail = fmt::format("{} and the cache are of one layer", counted(inputs.files.size(), "file"));
    return report;
  }
  const std::string program =
      first_tool(stack.context, {"compile_schemas", "compile_schemas_x86_64", "compile_schemas_aarch64"});
  if (program.empty())
    return without_tool(std::move(report), "glib-compile-schemas", "libglib2.0-dev-bin", "glib2");
  const std::string staged = stack.context.scratch + "/schemas";
  ORCH_CHECK(stage_files(staged, inputs.files));
  ORCH_TRY(const bool ran, run_host_tool(stack, {program, "--targetdir=" + staged, staged}, report));
  if (!ran) return report;
  ORCH_TRY(std::string bytes, sys::read_file(staged + "/gschemas.compiled"));
  const std::string path = directory->path + "/gschemas.compiled";
  ORCH_TRY(const bool other, put_if_other(stack, tree, path, std::move(bytes)));
  report.status = other ? Status::made : Status::current;
  report.detail = "of " + counted(inputs.files.size(), "file");
  if (other) report.files = {path};
  return report;
}

Result<FinishReport> finish_mime(const FinishStack& stack, image::SmallTree& tree) {
  FinishReport report;
  report.id = "mime-database";
  ORCH_TRY(const auto directory, find_in_view(stack.view, "usr/share/mime", NodeType::directory));
  std::optional<ViewPlace> packages;
  if (directory) {
    ORCH_TRY(packages, find_in_view(stack.view, directory->path + "/packages", NodeType::directory));
  }
  CacheInputs inputs;
  if (packages) {
    ORCH_TRY(inputs, read_cache_inputs(stack.view, *packages, directory->path + "/mime.cache",
                                       is_mime_package, report.notes));
  }
  if (inputs.files.empty()) {
    report.detail = "the stack describes no MIME types";
    return report;
  }
  if (inputs.of_one_layer) {
    report.status = Status::current;
    report.detail =
        fmt::format("{} and the cache are of one layer", counted(inputs.files.size(), "description"));
    return report;
  }
  const std::string program = stack.context.tool("update_mime");
  if (program.empty())
    return without_tool(std::move(report), "update-mime-database", "shared-mime-info", "shared-mime-info");
  const std::string staged = stack.context.scratch + "/mime";
  ORCH_CHECK(stage_files(staged + "/packages", inputs.files));
  ORCH_TRY(const bool ran, run_host_tool(stack, {program, staged}, report));
  if (!ran) return report;
  ORCH_TRY(const std::size_t changed, take_mime(stack, staged, directory->path, tree));
  report.status = changed == 0 ? Status::current : Status::made;
  report.detail = fmt::format("of {}, {} unlike the stack's", counted(inputs.files.size(), "description"),
                              counted(changed, "file"));
  if (changed != 0) report.files = {directory->path + "/"};
  return report;
}

namespace {

// The names below a theme, as empty files: the cache is made of names alone.
struct Theme {
  std::map<std::string, std::string> directories;  // relative path to nothing; made in order
  std::vector<std::string> files;
  std::set<std::size_t> layers;
};

bool is_icon(std::string_view name) {
  return name.ends_with(".png") || name.ends_with(".svg") || name.ends_with(".xpm") ||
         name.ends_with(".icon");
}

class ThemeReader {
 public:
  explicit ThemeReader(const image::MergedView& view) : view_(view) {}

  Result<Theme> read(const ViewPlace& theme) {
    ORCH_CHECK(descend(theme.node, "", 0));
    return std::move(theme_);
  }

 private:
  static constexpr std::size_t k_max_depth = 8;
  static constexpr std::size_t k_max_files = 200'000;

  Result<> descend(image::NodeId directory, const std::string& path, std::size_t depth) {
    ORCH_TRY(const std::vector<DirEntry> names, view_.list(directory));
    for (const DirEntry& entry : names) {
      const std::string place = path.empty() ? entry.name : path + "/" + entry.name;
      if (entry.type == NodeType::directory && depth < k_max_depth) {
        theme_.directories.emplace(place, "");
        ORCH_CHECK(descend(entry.node, place, depth + 1));
      } else if (entry.type != NodeType::directory && is_icon(entry.name) &&
                 theme_.files.size() < k_max_files) {
        theme_.files.push_back(place);
        theme_.layers.insert(view_.layer_of(entry.node));
      }
    }
    return {};
  }

  const image::MergedView& view_;
  Theme theme_;
};

Result<> stage_theme(const std::string& directory, const Theme& theme) {
  ORCH_CHECK(sys::make_dirs(directory, 0755));
  for (const auto& [path, nothing] : theme.directories)
    ORCH_CHECK(sys::make_dirs(directory + "/" + path, 0755));
  for (const std::string& path : theme.files) ORCH_CHECK(sys::write_atomic(directory + "/" + path, ""));
  return {};
}

}  // namespace

// GTK believes a cache that is not older than its directory, and in images all times are equal: the cache of
// one layer hides the icons of the layers above. A theme without a cache is read from its directories.
Result<FinishReport> finish_icons(const FinishStack& stack, image::SmallTree& tree) {
  FinishReport report;
  report.id = "icon-themes";
  report.detail = "no theme has a cache that hides icons of other layers";
  ORCH_TRY(const auto icons, find_in_view(stack.view, "usr/share/icons", NodeType::directory));
  if (!icons) return report;
  const std::string program = first_tool(stack.context, {"icon_cache", "icon_cache_gtk4"});
  ORCH_TRY(const std::vector<DirEntry> themes, stack.view.list(icons->node));
  for (const DirEntry& name : themes) {
    if (name.type != NodeType::directory) continue;
    const std::string cache = fmt::format("{}/{}/icon-theme.cache", icons->path, name.name);
    ORCH_TRY(const auto cached, find_in_view(stack.view, cache, NodeType::file));
    if (!cached) continue;
    ORCH_TRY(const Theme theme, ThemeReader(stack.view).read({icons->path + "/" + name.name, name.node}));
    if (theme.layers.size() == 1 && *theme.layers.begin() == stack.view.layer_of(cached->node)) continue;
    if (program.empty())
      return without_tool(std::move(report), "gtk-update-icon-cache", "gtk-update-icon-cache",
                          "gtk-update-icon-cache");
    const std::string staged = fmt::format("{}/icons-{}", stack.context.scratch, report.files.size());
    ORCH_CHECK(stage_theme(staged, theme));
    ORCH_TRY(
        const bool ran,
        run_host_tool(stack, {program, "--force", "--quiet", "--index-only", "--ignore-theme-index", staged},
                      report));
    if (!ran) return report;
    ORCH_TRY(std::string bytes, sys::read_file(staged + "/icon-theme.cache"));
    ORCH_TRY(const bool other, put_if_other(stack, tree, cache, std::move(bytes)));
    if (!other) continue;
    report.files.push_back(cache);
    report.status = Status::made;
    report.detail = "of the names in each theme";
  }
  return report;
}

}  // namespace orch::action
