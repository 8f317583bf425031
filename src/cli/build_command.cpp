// appimage-orch build: brings every stale step up to date.
#include "base/exit_status.hpp"
#include "cli/build_view.hpp"
#include "cli/command.hpp"
#include "cli/options.hpp"
#include "cli/plan_view.hpp"
#include "format/json.hpp"
#include "sys/file.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <memory>

namespace orch::cli {

namespace {

struct BuildArguments {
  ProfileArguments profile;
  BuildOptions build;
  OutputFormat format = OutputFormat::text;
  bool locked = false;
  bool dry_run = false;
};

Result<int> dry_run(Project& project, const BuildArguments& arguments) {
  ORCH_TRY(const plan::Plan plan, project.make_plan());
  ORCH_CHECK(print_out(arguments.format == OutputFormat::json ? format::to_json(plan_json(project, plan, {}))
                                                              : plan_text(project, plan, {})));
  return 0;
}

Result<int> build(const Session& session, const BuildArguments& arguments) {
  ORCH_TRY(const std::unique_ptr<Project> project, Project::open(session, arguments.profile.to_options()));
  const std::unique_ptr<BuildView> view = make_build_view(session);
  const LockPolicy policy = arguments.locked    ? LockPolicy::demand
                            : arguments.dry_run ? LockPolicy::leave
                                                : LockPolicy::resolve;
  if (arguments.dry_run) {
    ORCH_CHECK(project->prepare(policy, *view));
    return dry_run(*project, arguments);
  }
  ORCH_TRY(const BuildReport report, project->complete(policy, arguments.build, *view));
  if (arguments.format == OutputFormat::json)
    ORCH_CHECK(print_out(format::to_json(build_json(*project, report))));
  if (report.error) return base::fail(*report.error);
  view->note(build_summary(report));
  if (report.interrupted != 0) return base::k_signal_base + report.interrupted;
  return report.ok() ? 0 : 1;
}

}  // namespace

void add_build(CLI::App& app, Session& session) {
  const auto arguments = std::make_shared<BuildArguments>();
  CLI::App* command = app.add_subcommand("build", "bring every stale step up to date");
  add_profile_arguments(*command, arguments->profile, Positional::many);
  command
      ->add_option("-j,--jobs", arguments->build.jobs, "how many steps at a time (default: as ninja chooses)")
      ->type_name("N")
      ->check(CLI::Range(1, 1024));
  command->add_flag("-k,--keep-going", arguments->build.keep_going,
                    "go on with other steps after one failed");
  command
      ->add_option("--only", arguments->build.only, "only this step or rule and what it needs (repeatable)")
      ->type_name("STEP")
      ->allow_extra_args(false);
  command->add_flag("--locked", arguments->locked,
                    "fail where the lock file does not fit, rather than change it");
  add_rebuild(*command, arguments->profile);
  command->add_flag("-n,--dry-run", arguments->dry_run, "show the plan, change nothing");
  add_format(*command, arguments->format);
  command->callback([&session, arguments] {
    session.action = [&session, arguments] { return build(session, *arguments); };
  });
}

}  // namespace orch::cli
