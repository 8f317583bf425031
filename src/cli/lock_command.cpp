// appimage-orch lock: resolves the packages of a profile's layers into its lock file.
#include "base/text.hpp"
#include "cli/auto_packages.hpp"
#include "cli/build_view.hpp"
#include "cli/command.hpp"
#include "cli/locked_images.hpp"
#include "cli/options.hpp"
#include "cli/paths.hpp"
#include "cli/unfinished.hpp"
#include "format/json.hpp"
#include "package/lock_file.hpp"
#include "package/resolve.hpp"
#include "sys/file.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

namespace orch::cli {

namespace {

using base::Value;
using package::ChangeKind;
using package::LockChange;
using package::LockFile;

struct LockArguments {
  ProfileArguments profile;
  OutputFormat format = OutputFormat::text;
  bool update = false;
  bool images = false;
  std::string target;  // --export FOLDER
};

struct LockOutcome {
  std::string profile;
  std::string path;
  LockFile lock;
  std::vector<LockChange> changes;
  bool written = false;
};

// A profile without layers of packages needs no lock; one that is left from before says nothing any more.
Result<> drop_leftover(const model::Profile& profile, const std::optional<LockFile>& old,
                       const std::string& path) {
  ORCH_TRY(const std::vector<package::LayerRequest> requests, package::layer_requests(profile));
  const Value::Array& layers = profile.layers();
  const bool has_image =
      old && std::any_of(layers.begin(), layers.end(), [&](const Value& layer) {
        return layer.string_or("kind", "") == "fex" ||
               (model::is_made_of_stack(layer) && old->find_image(layer.string_or("name", "")) != nullptr);
      });
  if (!requests.empty() || has_image || !old) return {};
  ORCH_CHECK(LockFile().save(path));
  return {};
}

// Resolves, and where a profile takes packages for missing libraries, builds what shows which are missing.
Result<bool> bring_up_to_date(Project& project, LockPolicy policy, BuildView& view) {
  const auto& profiles = project.profiles();
  const bool automatic = std::any_of(profiles.begin(), profiles.end(), [](const model::Profile& profile) {
    return !automatic_layer(profile).empty() && load::require_app(profile);
  });
  if (!automatic) {
    ORCH_CHECK(project.prepare(policy, view));
    return true;
  }
  BuildOptions options;
  options.only = {"verify-stack"};
  ORCH_TRY(const BuildReport report, project.complete(policy, options, view));
  if (report.error) return base::fail(*report.error);
  return report.ok();
}

Result<LockOutcome> outcome_of(const model::Profile& profile, const std::string& path,
                               const std::optional<LockFile>& old) {
  LockOutcome outcome;
  outcome.profile = profile.name;
  outcome.path = path;
  ORCH_TRY(const std::optional<LockFile> now, LockFile::load(path));
  outcome.lock = now.value_or(LockFile());
  outcome.changes = package::compare_locks(old.value_or(LockFile()), outcome.lock);
  outcome.written = now && (!old || now->to_toml() != old->to_toml());
  return outcome;
}

std::string_view kind_text(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::package:
      return "package";
    case ChangeKind::automatic:
      return "auto";
    case ChangeKind::image:
      return "image";
    case ChangeKind::base:
      return "base";
  }
  return "package";
}

// "package" is not said; of the others the kind comes first.
std::string change_text(const LockChange& change) {
  const std::string kind =
      change.kind == ChangeKind::package ? "" : fmt::format("{} ", kind_text(change.kind));
  const std::string layer = change.layer.empty() ? "" : fmt::format(" ({})", change.layer);
  const std::string reason =
      change.reason.empty() || change.reason == "asked" ? "" : fmt::format(", {}", change.reason);
  if (change.before.empty())
    return fmt::format("  + {}{} {}{}{}\n", kind, change.name, change.after, layer, reason);
  if (change.after.empty()) return fmt::format("  - {}{} {}{}\n", kind, change.name, change.before, layer);
  return fmt::format("  ~ {}{} {} -> {}{}\n", kind, change.name, change.before, change.after, layer);
}

std::string outcome_text(const LockOutcome& outcome) {
  if (outcome.lock.layers.empty() && outcome.lock.images.empty() && !outcome.written)
    return fmt::format("{}: no layer is built from packages, nothing to lock\n", outcome.profile);
  std::size_t packages = 0;
  for (const package::LockedLayer& layer : outcome.lock.layers) packages += layer.packages.size();
  std::string text =
      fmt::format("{}: {} in {}, {}\n", outcome.profile, base::quantity(packages, "package", "packages"),
                  base::quantity(outcome.lock.layers.size(), "layer", "layers"),
                  outcome.written ? "written" : "unchanged");
  for (const LockChange& change : outcome.changes) text += change_text(change);
  return text + fmt::format("  {}\n", outcome.path);
}

Value provided_json(const package::LockedLayer& layer) {
  Value list = Value::array();
  for (const package::ProvidedPackage& item : layer.provided)
    list.push(Value::object({{"name", item.name},
                             {"version", base::or_null(item.version)},
                             {"layer", item.layer},
                             {"why", base::or_null(item.why)}}));
  return list;
}

Value autos_json(const package::LockedLayer& layer) {
  Value list = Value::array();
  for (const package::AutoPackage& item : layer.auto_packages)
    list.push(Value::object({{"soname", item.soname}, {"package", item.package}}));
  return list;
}

Value base_json(const package::BaseIdentity& base) {
  if (!base.known()) return {};
  return Value::object(
      {{"distribution", base.distribution}, {"release", base.release}, {"package_set", base.package_set}});
}

Value images_json(const LockFile& lock) {
  Value list = Value::array();
  for (const package::LockedImage& image : lock.images)
    list.push(Value::object({{"name", image.name},
                             {"sha256", image.sha256.hex()},
                             {"size", image.size},
                             {"fex", base::or_null(image.fex)},
                             {"url", base::or_null(image.url)},
                             {"xxh3", base::or_null(image.xxh3)}}));
  return list;
}

// schema "appimage-orch/lock/1": {schema, profiles: [{name, lock, written, base, layers: [{name, source,
// asked, allow_unsigned, auto, provided, packages}], images, changes: [{kind, layer, name, before, after,
// reason}]}]}; before is null for what was added, after for what was removed; kind is "package", "auto",
// "image" or "base".
Value outcome_json(const std::vector<LockOutcome>& outcomes) {
  Value profiles = Value::array();
  for (const LockOutcome& outcome : outcomes) {
    Value layers = Value::array();
    for (const package::LockedLayer& layer : outcome.lock.layers)
      layers.push(Value::object({{"name", layer.name},
                                 {"source", layer.source},
                                 {"asked", Value::strings(layer.asked)},
                                 {"allow_unsigned", layer.allow_unsigned},
                                 {"auto", autos_json(layer)},
                                 {"provided", provided_json(layer)},
                                 {"packages", package::to_value(layer.packages)}}));
    Value changes = Value::array();
    for (const LockChange& change : outcome.changes)
      changes.push(Value::object({{"kind", kind_text(change.kind)},
                                  {"layer", base::or_null(change.layer)},
                                  {"name", change.name},
                                  {"before", base::or_null(change.before)},
                                  {"after", base::or_null(change.after)},
                                  {"reason", base::or_null(change.reason)}}));
    profiles.push(Value::object({{"name", outcome.profile},
                                 {"lock", outcome.path},
                                 {"written", outcome.written},
                                 {"base", base_json(outcome.lock.base)},
                                 {"layers", std::move(layers)},
                                 {"images", images_json(outcome.lock)},
                                 {"changes", std::move(changes)}}));
  }
  return Value::object({{"schema", "appimage-orch/lock/1"}, {"profiles", std::move(profiles)}});
}

// Builds the images of the layers and writes their digests.
Result<> lock_images(Project& project, const std::string& target, BuildView& view,
                     std::vector<LockOutcome>& outcomes) {
  ORCH_CHECK(project.prepare(LockPolicy::resolve, view));
  std::vector<std::vector<ImageStep>> steps;
  BuildOptions options;
  for (const model::Profile& profile : project.profiles()) {
    steps.push_back(image_steps(project.graph(), profile));
    for (const ImageStep& item : steps.back())
      options.only.push_back(project.graph().steps[item.step.value].id);
  }
  if (options.only.empty()) return {};
  ORCH_TRY(const BuildReport report, project.build(options, view));
  if (report.error) return base::fail(*report.error);
  if (!report.ok())
    return base::fail(base::ErrorKind::step, "the images cannot be locked, because a step failed",
                      "'appimage-orch build' shows the same failure with its log");
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    if (!target.empty()) ORCH_CHECK(export_images(project, steps[i], report.plan, target));
    // Whoever takes the image gets what it lacks, too.
    ORCH_TRY(const std::vector<std::string> lacks,
             unfinished_caches(project, project.profiles()[i].name, report.plan));
    for (const std::string& line : lacks) view.note("warning: " + line);
    ORCH_TRY(std::vector<package::LockedImage> images,
             finished_images(project, project.profiles()[i], steps[i], report.plan));
    const LockFile before = outcomes[i].lock;
    std::erase_if(outcomes[i].lock.images,
                  [](const package::LockedImage& image) { return image.url.empty(); });
    for (package::LockedImage& image : images)
      if (outcomes[i].lock.find_image(image.name) == nullptr) outcomes[i].lock.set_image(std::move(image));
    for (LockChange& change : package::compare_locks(before, outcomes[i].lock))
      outcomes[i].changes.push_back(std::move(change));
    ORCH_CHECK(sys::make_dirs(sys::parent_path(outcomes[i].path)));
    ORCH_TRY(const bool written, outcomes[i].lock.save(outcomes[i].path));
    outcomes[i].written = outcomes[i].written || written;
  }
  return {};
}

Result<int> lock_profiles(const Session& session, const LockArguments& arguments) {
  ProjectOptions options = arguments.profile.to_options();
  options.rebuild = true;
  ORCH_TRY(const std::unique_ptr<Project> project, Project::open(session, options));
  const std::unique_ptr<BuildView> view = make_build_view(session);
  std::vector<std::optional<LockFile>> before;
  std::vector<std::string> paths;
  for (const model::Profile& profile : project->profiles()) {
    paths.push_back(package::lock_path(profile, user_profiles(session)));
    ORCH_TRY(before.emplace_back(), LockFile::load(paths.back()));
    ORCH_CHECK(drop_leftover(profile, before.back(), paths.back()));
  }
  ORCH_TRY(const bool built,
           bring_up_to_date(*project, arguments.update ? LockPolicy::update : LockPolicy::resolve, *view));
  std::vector<LockOutcome> outcomes;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    ORCH_TRY(LockOutcome outcome, outcome_of(project->profiles()[i], paths[i], before[i]));
    outcomes.push_back(std::move(outcome));
  }
  if (arguments.images || !arguments.target.empty())
    ORCH_CHECK(lock_images(*project, arguments.target, *view, outcomes));
  if (arguments.format == OutputFormat::json) {
    ORCH_CHECK(print_out(format::to_json(outcome_json(outcomes))));
    return built ? 0 : 1;
  }
  for (const LockOutcome& outcome : outcomes) ORCH_CHECK(print_out(outcome_text(outcome)));
  return built ? 0 : 1;
}

}  // namespace

void add_lock(CLI::App& app, Session& session) {
  const auto arguments = std::make_shared<LockArguments>();
  CLI::App* command =
      app.add_subcommand("lock", "resolve packages to exact versions, in the profile's lock file");
  add_profile_arguments(*command, arguments->profile, Positional::many);
  add_format(*command, arguments->format);
  command->add_flag("--update", arguments->update, "take the newest versions that the sources have");
  command->add_flag("--images", arguments->images, "build, and write the SHA-256 of the finished images too");
  command
      ->add_option("--export", arguments->target,
                   "with --images: leave a copy of each there, as SHA256.erofs, for stack.image_sources")
      ->type_name("FOLDER");
  command->callback([&session, arguments] {
    session.action = [&session, arguments] { return lock_profiles(session, *arguments); };
  });
}

}  // namespace orch::cli
