// appimage-orch lock: resolves the packages of a profile's layers into its lock file.
#include "cli/build_view.hpp"
#include "cli/command.hpp"
#include "cli/options.hpp"
#include "cli/paths.hpp"
#include "format/json.hpp"
#include "package/lock_file.hpp"
#include "package/resolve.hpp"
#include "sys/file.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <memory>

namespace orch::cli {

namespace {

using base::Value;
using package::LockFile;
using package::PackageChange;

struct LockArguments {
  ProfileArguments profile;
  OutputFormat format = OutputFormat::text;
  bool update = false;
};

struct LockOutcome {
  std::string profile;
  std::string path;
  LockFile lock;
  std::vector<PackageChange> changes;
  bool written = false;
};

Result<LockOutcome> lock_one(const Session& session, const model::Profile& profile, bool update,
                             const package::Surroundings& around) {
  LockOutcome outcome;
  outcome.profile = profile.name;
  outcome.path = package::lock_path(profile, user_profiles(session));
  ORCH_TRY(const std::vector<package::LayerRequest> requests, package::layer_requests(profile));
  ORCH_TRY(const std::optional<LockFile> old, LockFile::load(outcome.path));
  if (requests.empty() && !old) return outcome;
  const auto scope = update ? package::ResolveScope::all : package::ResolveScope::missing;
  ORCH_TRY(outcome.lock, package::resolve_lock(requests, old, scope, around));
  outcome.changes = package::compare_locks(old.value_or(LockFile()), outcome.lock);
  ORCH_CHECK(sys::make_dirs(sys::parent_path(outcome.path)));
  ORCH_TRY(outcome.written, outcome.lock.save(outcome.path));
  return outcome;
}

std::string change_text(const PackageChange& change) {
  if (change.before.empty()) return fmt::format("  + {} {} ({})\n", change.name, change.after, change.layer);
  if (change.after.empty()) return fmt::format("  - {} {} ({})\n", change.name, change.before, change.layer);
  return fmt::format("  ~ {} {} -> {} ({})\n", change.name, change.before, change.after, change.layer);
}

std::string outcome_text(const LockOutcome& outcome) {
  if (outcome.lock.layers.empty() && !outcome.written)
    return fmt::format("{}: no layer is built from packages, nothing to lock\n", outcome.profile);
  std::size_t packages = 0;
  for (const package::LockedLayer& layer : outcome.lock.layers) packages += layer.packages.size();
  std::string text = fmt::format("{}: {} packages in {} layers, {}\n", outcome.profile, packages,
                                 outcome.lock.layers.size(), outcome.written ? "written" : "unchanged");
  for (const PackageChange& change : outcome.changes) text += change_text(change);
  return text + fmt::format("  {}\n", outcome.path);
}

Value or_null(const std::string& text) {
  return text.empty() ? Value() : Value(text);
}

// schema "appimage-orch/lock/1": {schema, profiles: [{name, lock, written, layers: [{name, source, asked,
// packages}], changes: [{layer, name, before, after}]}]}; before is null for what was added, after for what
// was removed.
Value outcome_json(const std::vector<LockOutcome>& outcomes) {
  Value profiles = Value::array();
  for (const LockOutcome& outcome : outcomes) {
    Value layers = Value::array();
    for (const package::LockedLayer& layer : outcome.lock.layers)
      layers.push(Value::object({{"name", layer.name},
                                 {"source", layer.source},
                                 {"asked", Value::strings(layer.asked)},
                                 {"packages", package::to_value(layer.packages)}}));
    Value changes = Value::array();
    for (const PackageChange& change : outcome.changes)
      changes.push(Value::object({{"layer", change.layer},
                                  {"name", change.name},
                                  {"before", or_null(change.before)},
                                  {"after", or_null(change.after)}}));
    profiles.push(Value::object({{"name", outcome.profile},
                                 {"lock", outcome.path},
                                 {"written", outcome.written},
                                 {"layers", std::move(layers)},
                                 {"changes", std::move(changes)}}));
  }
  return Value::object({{"schema", "appimage-orch/lock/1"}, {"profiles", std::move(profiles)}});
}

Result<int> lock_profiles(const Session& session, const LockArguments& arguments) {
  ORCH_TRY(const std::unique_ptr<Project> project, Project::open(session, arguments.profile.to_options()));
  const std::unique_ptr<BuildView> view = make_build_view(session);
  package::Surroundings around;
  around.cache_dir = session.cache_dir;
  around.processes = &project->processes();
  around.environment = session.environment;
  around.log = [&view](std::string_view line) { view->note(std::string(line)); };
  std::vector<LockOutcome> outcomes;
  for (const model::Profile& profile : project->profiles()) {
    ORCH_TRY(LockOutcome outcome, lock_one(session, profile, arguments.update, around));
    outcomes.push_back(std::move(outcome));
  }
  if (arguments.format == OutputFormat::json) {
    ORCH_CHECK(print_out(format::to_json(outcome_json(outcomes))));
    return 0;
  }
  for (const LockOutcome& outcome : outcomes) ORCH_CHECK(print_out(outcome_text(outcome)));
  return 0;
}

}  // namespace

void add_lock(CLI::App& app, Session& session) {
  const auto arguments = std::make_shared<LockArguments>();
  CLI::App* command =
      app.add_subcommand("lock", "resolve packages to exact versions, in the profile's lock file");
  add_profile_arguments(*command, arguments->profile, Positional::many);
  add_format(*command, arguments->format);
  command->add_flag("--update", arguments->update, "take the newest versions that the sources have");
  command->callback([&session, arguments] {
    session.action = [&session, arguments] { return lock_profiles(session, *arguments); };
  });
}

}  // namespace orch::cli
