#include "cli/probe_tools.hpp"

#include "base/text.hpp"
#include "cli/app_build.hpp"
#include "cli/paths.hpp"
#include "cli/probe_profile.hpp"
#include "image/merged_view.hpp"
#include "image/open_tree.hpp"
#include "package/lock_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

namespace orch::cli {

using probe::ProbeKind;

namespace {

// Where the script of a probe looks.
constexpr std::array k_folders = {"usr/bin", "bin", "usr/local/bin"};

Result<bool> has_program(const image::FileTree& view, const std::string& tool) {
  for (const char* folder : k_folders) {
    ORCH_TRY(const image::Resolution found,
             image::resolve(view, fmt::format("{}/{}", folder, tool), image::Links::in_root));
    if (found.outcome != image::Resolution::Outcome::found || found.type != image::NodeType::file) continue;
    ORCH_TRY(const image::NodeInfo info, view.stat(found.node));
    if ((info.mode & 0111U) != 0) return true;
  }
  return false;
}

// Drivers that the tools' packages ask for are no part of the overlay: the application would not have them.
Result<> leave_out_drivers(const model::Profile& profile, const std::string& user_profiles) {
  const std::string path = package::lock_path(profile, user_profiles);
  ORCH_TRY(std::optional<package::LockFile> lock, package::LockFile::load(path));
  if (!lock) return {};
  for (package::LockedLayer& layer : lock->layers) {
    if (layer.name != k_tools_layer) continue;
    for (const package::LockedPackage& package : layer.packages)
      if (is_driver_package(package.name))
        layer.provided.push_back({package.name, package.version, layer.name,
                                  "what draws is for the application's stack to bring"});
    std::erase_if(layer.packages,
                  [](const package::LockedPackage& package) { return is_driver_package(package.name); });
  }
  ORCH_CHECK(lock->save(path));
  return {};
}

// Built by itself: what is made of a whole stack (its caches, its check) is the application's.
Result<> build_overlay(const Session& session, const ProjectOptions& options, BuildView& view,
                       ProbeTools& out) {
  ORCH_TRY(const std::unique_ptr<Project> project, Project::open(session, options));
  ORCH_CHECK(project->prepare(LockPolicy::resolve, view));
  const model::Profile& profile = project->profiles().front();
  ORCH_CHECK(leave_out_drivers(profile, user_profiles(session)));
  ORCH_CHECK(project->prepare(LockPolicy::resolve, view));
  const std::string slot = fmt::format("{}/deps-overlay/{}", profile.name, k_tools_layer);
  BuildOptions only;
  only.only = {slot};
  only.check_locks = false;
  ORCH_TRY(const BuildReport report, project->build(only, view));
  out.interrupted = report.interrupted;
  if (out.interrupted != 0) return {};
  if (!report.ok()) return base::fail(build_error(*project, report));
  ORCH_TRY(const model::StepIndex step, project->find_step(slot));
  ORCH_TRY(LaunchInput made, input_of(slot, report.plan.steps[step.value].outputs, 0, project->store()));
  out.image = model::LaunchImage{made.path, "deps", made.sha256, std::move(made.manifest)};
  return {};
}

}  // namespace

Result<std::vector<std::string>> lacking_tools(const Session& session,
                                               const std::vector<model::LaunchImage>& images,
                                               ProbeKind kind) {
  std::vector<std::string> paths;
  std::vector<std::string> names;
  for (const model::LaunchImage& image : images) {
    paths.push_back(image.path);
    names.push_back(image.role);
  }
  std::vector<std::string> out = probe::tools_of(kind);
  ORCH_TRY(std::vector<image::Layer> layers, image::open_layers(paths, names, session.cache_dir));
  if (layers.empty()) return out;
  ORCH_TRY(const std::unique_ptr<image::MergedView> view, image::MergedView::make(std::move(layers)));
  for (auto tool = out.begin(); tool != out.end();) {
    ORCH_TRY(const bool there, has_program(*view, *tool));
    tool = there ? out.erase(tool) : tool + 1;
  }
  return out;
}

ProbeTools make_tools_overlay(const Session& session, Project& project, const ProjectOptions& options,
                              ProbeKind kind, const std::vector<std::string>& tools) {
  ProbeTools out;
  const std::unique_ptr<BuildView> view = make_build_view(session);
  const auto attempt = [&]() -> Result<> {
    const model::Profile& profile = project.profiles().front();
    ORCH_TRY(const package::Source source, project.first_source(profile));
    out.overlay.packages = tool_packages(tools, source.kind);
    ProjectOptions own = options;
    ORCH_TRY(const std::string path, write_probe_profile(session, profile, kind, out.overlay.packages));
    own.profiles = {path};
    return build_overlay(session, own, *view, out);
  };
  if (const Result<> made = attempt(); !made) out.overlay.problem = base::one_line(made.error());
  return out;
}

}  // namespace orch::cli
