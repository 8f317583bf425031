#include "cli/bench_start.hpp"

#include "base/text.hpp"
#include "cli/app_build.hpp"
#include "cli/build_view.hpp"
#include "cli/launch_app.hpp"
#include "cli/launch_spec.hpp"
#include "format/json.hpp"
#include "launch/extracted_image.hpp"
#include "launch/muvm_lines.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

namespace orch::cli {

using base::fail;
using base::Value;

namespace {

using Clock = std::chrono::steady_clock;

// The moments of one launch.
class Stopwatch final : public RunObserver {
 public:
  Stopwatch(probe::ReadinessWatch watch, probe::Readiness::Kind kind)
      : watch_(std::move(watch)), waits_for_exit_(kind == probe::Readiness::Kind::exit) {
    moments_.begin = Clock::now();
  }

  void built() { moments_.built = Clock::now(); }
  void started() override { moments_.launched = Clock::now(); }
  void began() override { watch_.began(Clock::now()); }
  void output(std::string_view bytes) override { watch_.output(bytes, Clock::now()); }
  launch::RunContext::Look look() override {
    watch_.look(Clock::now());
    return {watch_.interval(), watch_.ready().has_value() || !watch_.problem().empty()};
  }
  void ended(const launch::Outcome& outcome) override {
    moments_.ended = Clock::now();
    moments_.began = watch_.began();
    moments_.ready = watch_.ready();
    const bool well = outcome.kind == launch::Outcome::Kind::exited && outcome.status == 0;
    if (waits_for_exit_ && well) moments_.ready = outcome.ended ? outcome.ended : moments_.ended;
    // That a guest's command began is seen a moment after it did, which may be after it ended.
    if (moments_.ready && moments_.began) moments_.ready = std::max(*moments_.ready, *moments_.began);
  }
  void asked_to_end(int signal) override { signal_ = signal; }

  const probe::StartMoments& moments() const { return moments_; }
  const std::string& problem() const { return watch_.problem(); }
  int signal() const { return signal_; }

 private:
  probe::ReadinessWatch watch_;
  bool waits_for_exit_;
  probe::StartMoments moments_;
  int signal_ = 0;
};

// Why a start did not get ready, by its report.
std::string failure_of(const Value& report, const BenchWhat& what) {
  const std::string outcome = report.string_or("outcome", "");
  if (outcome == "timed_out")
    return fmt::format(
        "it was not ready within {}: give it more with --timeout, or wait for something else with --ready",
        base::human_seconds(static_cast<double>(what.timeout_ms) / 1000));
  const Value* error = report.find_path("error.what");
  if (error == nullptr || !error->is_string())
    return fmt::format("it ended before it was ready: {}, status {}", outcome,
                       report.int_or("exit_status", 0));
  const Value* hint = report.find_path("error.hint");
  const bool has_hint = hint != nullptr && hint->is_string() && !hint->as_string().empty();
  return error->as_string() + (has_hint ? "; " + hint->as_string() : "");
}

void take_report(const std::string& directory, const BenchWhat& what, const std::string& problem,
                 BenchRun& out) {
  probe::Measured& run = out.measured;
  const Result<std::string> text = sys::read_file(directory + "/run.report.json");
  const Result<Value> report =
      text ? format::parse_json(*text, "run.report.json") : Result<Value>(fail(text.error()));
  if (!report) {
    run.seconds.reset();
    run.error = "its report cannot be read: " + base::one_line(report.error());
    return;
  }
  run.outcome = report->string_or("outcome", "");
  run.exit_status = static_cast<int>(report->int_or("exit_status", 0));
  if (report->bool_or("vm_reused", false)) {
    run.seconds.reset();
    run.error =
        "it joined a virtual machine that was running, so that it was no start of one: end that, or set "
        "launch.vm = \"private\"";
  } else if (!problem.empty()) {
    run.seconds.reset();
    run.error = problem;
  } else if (!run.seconds) {
    run.error = failure_of(*report, what);
  }
}

Result<std::unique_ptr<Project>> open_project(const Session& session, const BenchWhat& what,
                                              const BenchVariant& variant, LaunchOverrides& overrides) {
  ProfileArguments arguments = what.profile;
  if (variant.setting) apply(*variant.setting, arguments, overrides);
  overrides.args = what.arguments;
  overrides.timeout_ms = what.timeout_ms;
  ProjectOptions options = arguments.to_options();
  if (!what.command.empty()) options.overrides.verify = "off";  // not the application's needs
  ORCH_TRY(std::unique_ptr<Project> project, Project::open(session, std::move(options)));
  ORCH_CHECK(load::require_app(project->profiles().front()));
  return project;
}

Result<model::LaunchSpec> spec_of(const Project& project, const BenchWhat& what, model::LaunchSpec spec) {
  spec.plain_input = spec.plain_output = true;
  if (what.command.empty()) return spec;
  ORCH_TRY(spec.entry, guest_shell(project, spec));
  spec.args = {"-c", what.command};
  spec.script_shell = "host";
  return spec;
}

// The launch itself, and its evidence.
Result<> run_start(const Session& session, const BenchWhat& what, Project& project,
                   const LaunchOverrides& overrides, const RunStart& start, Stopwatch& stopwatch) {
  ORCH_TRY(AppRun app, AppRun::begin(session, start));
  AppBuild build = build_app(session, project, overrides);
  app.end_phase("build");
  const auto done = [](const Result<int>& status) -> Result<> {
    ORCH_CHECK(status);
    return {};
  };
  if (build.interrupted != 0) {
    stopwatch.asked_to_end(build.interrupted);
    return done(app.interrupted(build.interrupted));
  }
  if (build.error) return done(app.build_failed(*build.error, build.shown));
  app.warn(build.warnings);
  const Value* verify = project.profiles().front().value.find("verify");
  if (what.command.empty())
    app.set_stack(build.stack, verify != nullptr ? verify->string_or("mode", "stop") : "stop");
  const Result<model::LaunchSpec> spec = spec_of(project, what, *build.spec);
  if (!spec) return done(app.build_failed(spec.error()));
  stopwatch.built();
  return done(app.launch(*spec));
}

}  // namespace

Result<BenchStack> prepare_bench(const Session& session, const BenchWhat& what) {
  LaunchOverrides overrides;
  ORCH_TRY(const std::unique_ptr<Project> project, open_project(session, what, {}, overrides));
  const AppBuild build = build_app(session, *project, overrides);
  BenchStack out;
  out.interrupted = build.interrupted;
  if (build.error && build.shown == AppRun::Shown::no) return fail(*build.error);
  if (build.error || build.interrupted != 0) return out;
  const model::Profile& profile = project->profiles().front();
  out.profile = profile.name;
  out.launcher = build.spec->launcher;
  out.appdir = build.spec->appdir;
  out.images = build.spec->images;
  out.evidence_setting = evidence_setting(profile.value);
  out.complete = true;
  return out;
}

std::vector<std::string> files_of(const Session& session, const BenchStack& stack) {
  std::vector<std::string> out = {stack.appdir};
  for (const model::LaunchImage& image : stack.images) {
    out.push_back(image.path);
    if (stack.launcher != "native") continue;
    if (auto root = launch::extracted_already(image, session.cache_dir, ::geteuid()))
      out.push_back(*std::move(root));
  }
  return out;
}

Result<BenchRun> measure_start(const Session& session, const BenchWhat& what, const BenchStack& stack,
                               const BenchVariant& variant, const std::string& directory) {
  probe::ForeignLines foreign;
  if (stack.launcher == "muvm") foreign = {launch::is_line_of_muvm, launch::may_be_line_of_muvm};
  ORCH_TRY(probe::ReadinessWatch watch, probe::ReadinessWatch::make(what.ready, std::move(foreign)));
  const sys::Fd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  Stopwatch stopwatch(std::move(watch), what.ready.kind);
  LaunchOverrides overrides;
  ORCH_TRY(const std::unique_ptr<Project> project, open_project(session, what, variant, overrides));
  RunStart start = run_start_of(*project, project->profiles().front().name + "-bench", directory, what.force);
  start.input = start.output = nothing.get();
  start.observer = &stopwatch;
  ORCH_CHECK(run_start(session, what, *project, overrides, start, stopwatch));
  BenchRun out;
  out.signal = stopwatch.signal();
  out.measured.seconds = probe::seconds_of(stopwatch.moments());
  out.measured.phases = probe::phases_of(stopwatch.moments());
  take_report(directory, what, stopwatch.problem(), out);
  return out;
}

}  // namespace orch::cli
