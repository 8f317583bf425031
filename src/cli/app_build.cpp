#include "cli/app_build.hpp"

#include "base/text.hpp"
#include "cli/build_view.hpp"
#include "cli/stack_report.hpp"
#include "cli/unfinished.hpp"

#include <fmt/format.h>

#include <memory>

namespace orch::cli {

using base::ErrorKind;
using base::fail;
using base::printable;

base::Error build_error(const Project& project, const BuildReport& report) {
  if (report.error) return *report.error;
  for (std::size_t i = 0; i < report.steps.size(); ++i)
    if (report.steps[i].result == "failed")
      return {ErrorKind::step,
              fmt::format("step '{}' failed: {}", project.graph().steps[i].id,
                          base::printable(report.steps[i].message)),
              report.steps[i].hint.empty() ? "see the step's log above" : report.steps[i].hint};
  return {ErrorKind::step, "the build did not finish", "run 'appimage-orch build'"};
}

AppBuild build_app(const Session& session, Project& project, const LaunchOverrides& overrides) {
  AppBuild out;
  const std::unique_ptr<BuildView> view = make_build_view(session);
  const auto attempt = [&]() -> Result<> {
    ORCH_TRY(const BuildReport report, project.complete(LockPolicy::resolve, {}, *view));
    out.interrupted = report.interrupted;
    if (!report.error && report.count("failed") > 0) out.shown = AppRun::Shown::yes;
    if (!report.ok()) return fail(build_error(project, report));
    const plan::Plan& plan = report.plan;
    const model::Profile& profile = project.profiles().front();
    ORCH_TRY(out.spec, make_launch_spec(project, profile, plan, overrides));
    ORCH_TRY(out.stack, stack_report(project, profile.name, plan));
    ORCH_TRY(out.warnings, unfinished_caches(project, profile.name, plan));
    return {};
  };
  if (Result<> done = attempt(); !done) out.error = std::move(done.error());
  return out;
}

RunStart run_start_of(const Project& project, const std::string& app, const std::string& out_dir,
                      bool force) {
  const model::Profile& profile = project.profiles().front();
  RunStart out;
  out.app = app;
  out.profile = profile.name;
  out.expanded = profile.value;
  out.verbatim = profile.verbatim;
  out.paths =
      base::Value::object({{"profile", profile.path}, {"chain", base::Value::strings(profile.chain)}});
  out.discovery = probe::to_value(project.candidates(profile.name));
  out.evidence_setting = evidence_setting(profile.value);
  out.out_dir = out_dir;
  out.force = force;
  return out;
}

}  // namespace orch::cli
