// appimage-orch verify: holds the application against the merged view of its stack, before anything boots.
#include "base/exit_status.hpp"
#include "cli/build_view.hpp"
#include "cli/command.hpp"
#include "cli/options.hpp"
#include "cli/stack_report.hpp"
#include "format/json.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <memory>
#include <utility>

namespace orch::cli {

namespace {

using base::ErrorKind;
using base::fail;
using base::Value;

struct VerifyArguments {
  ProfileArguments profile;
  OutputFormat format = OutputFormat::text;
  bool locked = false;
};

// Which packages have what is missing. That nobody could be asked is worth a note, not a failure.
void name_packages(Project& project, Value& report, BuildView& view) {
  if (const Result<> named = project.name_packages(project.profiles().front(), report, view); !named)
    view.note("which packages have what is missing could not be found out: " + base::one_line(named.error()));
}

Result<int> verify(const Session& session, const VerifyArguments& arguments) {
  ProjectOptions opening = arguments.profile.to_options();
  opening.overrides.verify = "stop";  // it was asked for, whatever [verify] mode says of runs
  ORCH_TRY(const std::unique_ptr<Project> project, Project::open(session, std::move(opening)));
  const std::unique_ptr<BuildView> view = make_build_view(session);
  const std::string name = project->profiles().front().name;
  ORCH_CHECK(load::require_app(project->profiles().front()));
  BuildOptions options;
  options.only = {"verify-stack", "check-stack"};
  const LockPolicy policy = arguments.locked ? LockPolicy::demand : LockPolicy::resolve;
  ORCH_TRY(const BuildReport built, project->complete(policy, options, *view));
  if (built.error) return fail(*built.error);
  if (built.interrupted != 0) return base::k_signal_base + built.interrupted;
  if (!built.ok()) return 1;  // the view has shown which step failed
  ORCH_TRY(Value report, stack_report(*project, name, built.plan));
  name_packages(*project, report, *view);
  if (arguments.format == OutputFormat::json) {
    ORCH_CHECK(print_out(format::to_json(report)));
  } else {
    ORCH_CHECK(print_out(stack_report_text(name, report, session.verbosity == Verbosity::verbose)));
  }
  return report.bool_or("ok", false) ? 0 : 1;
}

}  // namespace

void add_verify(CLI::App& app, Session& session) {
  const auto arguments = std::make_shared<VerifyArguments>();
  CLI::App* command =
      app.add_subcommand("verify", "say whether the application can start on its stack, and what is missing");
  command->footer("The exit status is 0 if nothing that is required is missing, else 1.");
  add_profile_arguments(*command, arguments->profile, Positional::one);
  command->add_flag("--locked", arguments->locked,
                    "fail where the lock file does not fit, rather than change it");
  add_rebuild(*command, arguments->profile);
  add_format(*command, arguments->format);
  command->callback([&session, arguments] {
    session.action = [&session, arguments] { return verify(session, *arguments); };
  });
}

}  // namespace orch::cli
