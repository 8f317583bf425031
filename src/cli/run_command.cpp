// appimage-orch run: build, preflight, launch, evidence.
#include "base/exit_status.hpp"
#include "base/text.hpp"
#include "base/variable_name.hpp"
#include "cli/ab.hpp"
#include "cli/app_build.hpp"
#include "cli/auto_deps.hpp"
#include "cli/build_view.hpp"
#include "cli/command.hpp"
#include "cli/launch_app.hpp"
#include "cli/launch_spec.hpp"
#include "cli/options.hpp"
#include "cli/say.hpp"
#include "cli/stack_report.hpp"
#include "cli/unfinished.hpp"
#include "elf/inspection.hpp"
#include "evidence/redact.hpp"
#include "format/json.hpp"
#include "image/random_access.hpp"
#include "load/schema.hpp"
#include "load/user_profile.hpp"
#include "probe/ab.hpp"
#include "sys/file.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cstdio>
#include <memory>

namespace orch::cli {

using base::ErrorKind;
using base::fail;
using base::Value;

namespace {

struct RunArguments {
  ProfileArguments profile;
  OutputFormat format = OutputFormat::text;
  std::string target;  // PROFILE or APPIMAGE
  std::string out_dir;
  std::string timeout;
  std::string verify;  // [verify] mode; empty: the profile's
  std::vector<std::string> environment;
  std::vector<std::string> guest_pre;
  VariantArguments ab;
  bool force = false;
  bool dry_run = false;
  bool auto_deps = false;
};

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

// A file that is no profile; everything else is a profile's name or path.
bool is_application(const std::string& target) {
  if (target.empty() || ends_with(target, ".toml")) return false;
  if (ends_with(target, ".AppImage")) return true;
  const sys::Result<struct stat> info = sys::stat_file(target);
  return info && S_ISREG(info->st_mode);
}

Result<load::AppFacts> facts_of(const std::string& path) {
  ORCH_TRY(const std::shared_ptr<image::FileAccess> file, image::FileAccess::open(path));
  ORCH_TRY(const elf::Inspection inspection, elf::inspect(file, path));
  if (inspection.identity.kind != image::FileKind::appimage)
    return fail(ErrorKind::usage, fmt::format("'{}' is not an AppImage", base::printable(path)),
                "name an AppImage, or a profile (a .toml file, or a name)");
  load::AppFacts facts;
  facts.path = path;
  facts.update_information = inspection.update_information;
  if (inspection.desktop) {
    facts.title = inspection.desktop->name;
    facts.desktop_id = inspection.desktop->file.substr(0, inspection.desktop->file.rfind(".desktop"));
  }
  return facts;
}

// The user's profile of an application, written at its first run. A dry run writes nothing, and so needs one.
Result<std::string> profile_of(const Session& session, const load::AppFacts& facts,
                               const RunArguments& arguments) {
  load::Surroundings around;
  around.environment = &session.environment;
  around.config_dir = session.config_dir;
  around.data_dir = session.data_dir;
  ORCH_TRY(const std::optional<std::string> known, load::find_user_profile(facts, around));
  if (known) return *known;
  sys::SystemProcessRunner processes;
  const std::string machine = launch::this_host(session.environment, session.cache_dir, processes).machine;
  const std::string wanted = arguments.profile.launcher.empty() ? "auto" : arguments.profile.launcher;
  ORCH_TRY(const std::string launcher, launch::choose_launcher(wanted, machine));
  const std::string extends = launcher == "muvm" ? "asahi" : "native";
  if (arguments.dry_run) return extends;
  ORCH_TRY(std::string path, load::write_user_profile(facts, extends, around));
  if (session.verbosity != Verbosity::quiet)
    cli::say("wrote the profile '{}' for this application\n", base::printable(path));
  return path;
}

Result<ProjectOptions> project_options(const Session& session, const RunArguments& arguments,
                                       const LaunchOverrides& launch) {
  ProjectOptions options = arguments.profile.to_options();
  if (!arguments.verify.empty()) options.overrides.verify = arguments.verify;
  for (const auto& [name, value] : launch.environment)
    if (name == "LD_LIBRARY_PATH") options.overrides.library_path = value;
  if (!is_application(arguments.target)) {
    if (arguments.target.empty()) return options;
    if (!options.profiles.empty())
      return fail(
          ErrorKind::usage,
          fmt::format("two profiles: '{}' and '{}'", options.profiles[0], base::printable(arguments.target)),
          "run one of them; arguments of the application come after '--'");
    options.profiles.push_back(arguments.target);
    return options;
  }
  const std::string path = sys::absolute_path(arguments.target);
  ORCH_TRY(const load::AppFacts facts, facts_of(path));
  if (options.profiles.empty()) {
    ORCH_TRY(std::string profile, profile_of(session, facts, arguments));
    options.profiles.push_back(std::move(profile));
  }
  if (!options.overrides.appimage) options.overrides.appimage = path;
  return options;
}

Result<LaunchOverrides> launch_overrides(const Session& session, const RunArguments& arguments) {
  LaunchOverrides out;
  out.args = session.application_arguments;
  out.guest_pre = arguments.guest_pre;
  for (const std::string& word : arguments.environment) {
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    if (name.empty())
      return fail(ErrorKind::usage, fmt::format("--env '{}' has no name", base::printable(word)),
                  "write --env NAME=VALUE");
    if (!base::is_variable_name(name))
      return fail(ErrorKind::usage,
                  fmt::format("--env: '{}' is not a name of a variable", base::printable(name)),
                  base::k_variable_name_hint);
    const auto host = session.environment.find(name);
    if (equals != std::string::npos)
      out.environment.emplace_back(name, word.substr(equals + 1));
    else if (host != session.environment.end())
      out.environment.emplace_back(name, host->second);
  }
  if (arguments.timeout.empty()) return out;
  out.timeout_ms = load::parse_duration(arguments.timeout);
  if (!out.timeout_ms)
    return fail(ErrorKind::usage,
                fmt::format("--timeout '{}' is not a duration", base::printable(arguments.timeout)),
                "write it as '90s', '500ms' or '1h30m'");
  return out;
}

std::string dry_run_text(const Value& launch) {
  std::string out = fmt::format("launcher: {}\n", launch.string_or("launcher", ""));
  for (const Value& image : launch.find("images")->as_array())
    out += fmt::format("image: {} ({})\n", base::printable(image.string_or("path", "")),
                       image.string_or("role", ""));
  for (const Value::Member& variable : launch.find("env")->as_object())
    out += fmt::format("env: {}\n", base::shell_quote(variable.key + "=" + variable.value.as_string()));
  std::vector<std::string> words;
  for (const Value& word : launch.find("argv")->as_array()) words.push_back(word.as_string());
  return out + fmt::format("command: {}\n", base::shell_join(words));
}

Result<int> dry_run(const Session& session, Project& project, const LaunchOverrides& overrides,
                    OutputFormat format) {
  const std::unique_ptr<BuildView> view = make_build_view(session);
  ORCH_CHECK(project.prepare(LockPolicy::leave, *view));
  ORCH_TRY(const plan::Plan plan, project.make_plan());
  ORCH_TRY(const model::LaunchSpec spec,
           make_launch_spec(project, project.profiles().front(), plan, overrides));
  const launch::Host host = launch_host(session, project.processes(), spec);
  ORCH_TRY(const std::unique_ptr<launch::Launcher> launcher, launch::make_launcher(spec.launcher, host));
  const Value shown = evidence::redact(launcher->describe(without_secrets(spec)));
  Value document = Value::object({{"schema", "appimage-orch/launch/1"}});
  for (const Value::Member& member : shown.as_object()) document.set(member.key, member.value);
  ORCH_CHECK(print_out(format == OutputFormat::json ? format::to_json(document) : dry_run_text(shown)));
  for (const launch::Check& check : launcher->check(spec))
    if (check.status == launch::Check::Status::failed)
      cli::say("warning: the launch would be refused: {}{}{}\n", check.detail,
               check.remedy.empty() ? "" : ": ", check.remedy);
  return 0;
}

// The same profile with the overlay that was added to it. One that cannot be made is taken back: the next run would
// fail at it, too.
AppBuild build_again(const Session& session, const ProjectOptions& options, const LaunchOverrides& overrides,
                     const AutoDeps& added, AppRun& app, std::unique_ptr<Project>& project) {
  AppBuild built;
  Result<std::unique_ptr<Project>> opened = Project::open(session, options);
  if (opened) {
    (*opened)->take_packages(added.packages, *project);
    project = *std::move(opened);
    app.set_profile(project->profiles().front());
    built = build_app(session, *project, overrides);
  } else {
    built.error = std::move(opened).error();
  }
  if (!built.error && built.interrupted == 0) return built;
  const std::string what =
      built.error ? "the overlay could not be made" : "interrupted before the overlay was made";
  const std::string profile = base::printable(project->profiles().front().path);
  const Result<bool> back = added.overlay->take_back();
  if (!back)
    app.warn({fmt::format("{}, and '{}' still has it: {}", what, profile, base::one_line(back.error()))});
  else if (*back)
    app.warn({fmt::format("{}: '{}' is as it was before", what, profile)});
  else
    app.warn({fmt::format("{}; '{}' was changed meanwhile and is left as it is, with the overlay in it", what,
                          profile)});
  return built;
}

Result<int> run_once(const Session& session, const RunArguments& arguments,
                     const LaunchOverrides& overrides) {
  ORCH_TRY(ProjectOptions options, project_options(session, arguments, overrides));
  const ProjectOptions again = options;
  ORCH_TRY(std::unique_ptr<Project> project, Project::open(session, std::move(options)));
  ORCH_CHECK(load::require_app(project->profiles().front()));
  if (arguments.dry_run) return dry_run(session, *project, overrides, arguments.format);
  ORCH_TRY(AppRun app, AppRun::begin(session, run_start_of(*project, project->profiles().front().name,
                                                           arguments.out_dir, arguments.force)));
  AppBuild built = build_app(session, *project, overrides);
  if (!built.error && built.interrupted == 0) {
    const std::unique_ptr<BuildView> view = make_build_view(session);
    const Result<AutoDeps> added =
        offer_auto_deps(session, *project, built.stack, arguments.auto_deps, *view);
    if (!added) return app.build_failed(added.error());
    if (added->overlay) built = build_again(session, again, overrides, *added, app, project);
  }
  app.end_phase("build");
  if (built.interrupted != 0) return app.interrupted(built.interrupted);
  if (built.error) return app.build_failed(*built.error, built.shown);
  app.warn(built.warnings);
  const Value* verify = project->profiles().front().value.find("verify");
  app.set_stack(built.stack, verify != nullptr ? verify->string_or("mode", "stop") : "stop");
  return app.launch(*built.spec);
}

Result<int> run_variant(const Session& session, RunArguments arguments, const VariantSetting& setting,
                        LaunchOverrides overrides) {
  apply(setting, arguments.profile, overrides);
  return run_once(session, arguments, overrides);
}

Result<int> show_variants(const Session& session, const RunArguments& arguments,
                          const LaunchOverrides& overrides) {
  if (arguments.format == OutputFormat::json)
    return fail(ErrorKind::usage, "--dry-run shows several variants as text only",
                "for a document name one variant, with --gpu-mode or --env");
  ORCH_TRY(const std::vector<VariantSetting> settings, variants_of(arguments.ab));
  for (std::size_t i = 0; i < settings.size(); ++i) {
    ORCH_CHECK(print_out(fmt::format("variant: {}\n", base::printable(settings[i].name))));
    ORCH_CHECK(run_variant(session, arguments, settings[i], overrides));
    if (i + 1 < settings.size()) ORCH_CHECK(print_out("\n"));
  }
  return 0;
}

Result<int> run_ab(const Session& session, const RunArguments& arguments, const LaunchOverrides& overrides) {
  ORCH_TRY(ProjectOptions options, project_options(session, arguments, overrides));
  ORCH_TRY(const std::unique_ptr<Project> project, Project::open(session, std::move(options)));
  const model::Profile& profile = project->profiles().front();
  ORCH_CHECK(load::require_app(profile));
  AbRequest request;
  request.kind = probe::k_run_kind;
  request.app = profile.name;
  request.variants = arguments.ab;
  request.out_dir = arguments.out_dir;
  request.force = arguments.force;
  request.to_stdout = false;
  return compare_variants(session, profile, request,
                          [&](const VariantSetting& setting, const std::string& directory) -> Result<AbEnd> {
                            RunArguments one = arguments;
                            one.out_dir = directory;
                            ORCH_TRY(const int status,
                                     run_variant(session, std::move(one), setting, overrides));
                            return AbEnd{status, {}};
                          });
}

Result<int> run_profile(const Session& session, const RunArguments& arguments) {
  ORCH_CHECK(check_save(arguments.ab));
  if (arguments.format == OutputFormat::json && !arguments.dry_run)
    return fail(ErrorKind::usage, "--format json is for --dry-run: standard output is the application's",
                "'evidence show --format json' has what a run leaves");
  ORCH_TRY(const LaunchOverrides overrides, launch_overrides(session, arguments));
  if (!arguments.ab.any()) return run_once(session, arguments, overrides);
  return arguments.dry_run ? show_variants(session, arguments, overrides)
                           : run_ab(session, arguments, overrides);
}

// As `podman run`: whatever keeps the application from being started is 125, not 1 or 2.
Result<int> run(const Session& session, const RunArguments& arguments) {
  const Result<int> status = run_profile(session, arguments);
  if (status) return status;
  const std::string text =
      render(status.error(), session.colour ? "\x1b[1;31m" : "", session.colour ? "\x1b[0m" : "");
  cli::say(std::string_view(text));
  return base::k_tool_failed;
}

}  // namespace

void add_run(CLI::App& app, Session& session) {
  const auto arguments = std::make_shared<RunArguments>();
  CLI::App* command = app.add_subcommand("run", "build, check, launch the application, and leave evidence");
  command->footer(
      "Arguments of the application come after '--'. The exit status is the application's; 128+N if signal N "
      "ended it,\n126 not executable, 127 not found, 125 the tool itself failed, 124 timed out; 130, 143 or "
      "129 the tool was told to end\n(SIGINT, SIGTERM, SIGHUP). With --ab or --ab-env it is 0 if that of "
      "each variant was, else 1.");
  command->add_option(
      "PROFILE|APPIMAGE", arguments->target,
      "a profile (.toml file, or name; default: ./profile.toml), or an AppImage: its own profile is "
      "written at the first run");
  add_profile_arguments(*command, arguments->profile, Positional::no);
  command->add_option("--out-dir", arguments->out_dir, "leave the evidence directly in this directory")
      ->type_name("DIR");
  command->add_flag("--force", arguments->force,
                    "also if --out-dir has an earlier run, and although the preflight fails (recorded)");
  command->add_option("--timeout", arguments->timeout, "end the application after this time (\"90s\")")
      ->type_name("DURATION");
  command
      ->add_option("--env", arguments->environment,
                   "set a variable; without a value, hand on the host's (repeatable)")
      ->type_name("K=V")
      ->allow_extra_args(false);
  command
      ->add_option("--guest-pre", arguments->guest_pre,
                   "a shell command to run before the application, where it runs (repeatable)")
      ->type_name("CMD")
      ->allow_extra_args(false);
  add_variants(*command, arguments->ab, "run it once for each of these");
  add_save(*command, arguments->ab);
  add_rebuild(*command, arguments->profile);
  command->add_flag("-n,--dry-run", arguments->dry_run, "show what would be launched, start nothing");
  command
      ->add_option("--verify", arguments->verify,
                   "what a missing library does: stop (default), warn, or off: do not look")
      ->type_name("MODE")
      ->check(CLI::IsMember({"stop", "warn", "off"}));
  command->add_flag("--auto-deps", arguments->auto_deps,
                    "add an overlay for missing libraries to the profile, without asking");
  add_format(*command, arguments->format);
  command->callback(
      [&session, arguments] { session.action = [&session, arguments] { return run(session, *arguments); }; });
}

}  // namespace orch::cli
