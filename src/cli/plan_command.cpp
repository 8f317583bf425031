// appimage-orch plan: shows the graph without running anything.
#include "cli/build_view.hpp"
#include "cli/command.hpp"
#include "cli/launch_spec.hpp"
#include "cli/options.hpp"
#include "cli/plan_view.hpp"
#include "evidence/redact.hpp"
#include "format/json.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <memory>

namespace orch::cli {

namespace {

struct PlanArguments {
  ProfileArguments profile;
  OutputFormat format = OutputFormat::text;
  std::string explain;
};

Result<int> show_plan(const Session& session, const PlanArguments& arguments) {
  ORCH_TRY(const std::unique_ptr<Project> project, Project::open(session, arguments.profile.to_options()));
  const std::unique_ptr<BuildView> view = make_build_view(session);
  ORCH_CHECK(project->prepare(LockPolicy::leave, *view));
  ORCH_TRY(const plan::Plan plan, project->make_plan());
  if (!arguments.explain.empty()) {
    ORCH_TRY(const model::StepIndex index, project->find_step(arguments.explain));
    ORCH_CHECK(print_out(explain_step(*project, plan, index)));
    return 0;
  }
  switch (arguments.format) {
    case OutputFormat::dot:
      ORCH_CHECK(print_out(plan_dot(*project, plan)));
      return 0;
    case OutputFormat::mermaid:
      ORCH_CHECK(print_out(plan_mermaid(*project, plan)));
      return 0;
    case OutputFormat::text:
    case OutputFormat::json:
      break;
  }
  ORCH_TRY(std::vector<base::Value> launches, launch_objects(session, *project, plan));
  for (base::Value& launch : launches) launch = evidence::redact(launch);  // as in the report of the run
  if (arguments.format == OutputFormat::json)
    ORCH_CHECK(print_out(format::to_json(plan_json(*project, plan, launches))));
  else
    ORCH_CHECK(print_out(plan_text(*project, plan, launches)));
  return 0;
}

}  // namespace

void add_plan(CLI::App& app, Session& session) {
  const auto arguments = std::make_shared<PlanArguments>();
  CLI::App* command = app.add_subcommand("plan", "show every step, whether it is fresh or stale and why");
  add_profile_arguments(*command, arguments->profile, Positional::many);
  add_format(*command, arguments->format, GraphFormats::yes);
  command->add_option("--explain", arguments->explain, "show all that takes part in the key of one step")
      ->type_name("STEP");
  command->callback([&session, arguments] {
    session.action = [&session, arguments] { return show_plan(session, *arguments); };
  });
}

}  // namespace orch::cli
