#include "cli/bench_start.hpp"

#include "base/text.hpp"
#include "cli/app_build.hpp"
#include "cli/build_view.hpp"
#include "cli/launch_app.hpp"
#include "cli/launch_spec.hpp"
#include "cli/say.hpp"
#include "format/json.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <fcntl.h>

#include <chrono>
#include <memory>
#include <utility>

namespace orch::cli {

using base::fail;
using base::Value;

namespace {

using Clock = std::chrono::steady_clock;
using Moment = Clock::time_point;

double seconds_between(Moment from, Moment to) {
  return std::chrono::duration<double>(to - from).count();
}

// The moments of one launch.
class Stopwatch final : public RunObserver {
 public:
  Stopwatch(probe::ReadinessWatch watch, probe::Readiness::Kind kind)
      : watch_(std::move(watch)), waits_for_exit_(kind == probe::Readiness::Kind::exit) {}

  void started() override { watch_.started(Clock::now()); }
  void output(std::string_view bytes) override { watch_.output(bytes, Clock::now()); }
  launch::RunContext::Look look() override {
    watch_.look(Clock::now());
    const bool end = watch_.ready().has_value();
    return {end ? std::nullopt : watch_.interval(), end};
  }
  void ended(const launch::Outcome& outcome) override {
    end_ = Clock::now();
    const bool well = outcome.kind == launch::Outcome::Kind::exited && outcome.status == 0;
    if (!waits_for_exit_ || !well) return;
    // What a launcher does after the application's end is no part of it.
    double after = 0;
    for (const auto& [name, seconds] : outcome.phases)
      if (name == "shutdown") after += seconds;
    exited_ = *end_ - std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(after));
  }

  void asked_to_end(int signal) override { signal_ = signal; }

  int signal() const { return signal_; }
  std::optional<Moment> launched() const { return watch_.start(); }
  std::optional<Moment> first_output() const { return watch_.first_output(); }
  std::optional<Moment> ready() const { return waits_for_exit_ ? exited_ : watch_.ready(); }
  std::optional<Moment> end() const { return end_; }

 private:
  probe::ReadinessWatch watch_;
  bool waits_for_exit_;
  std::optional<Moment> exited_;
  std::optional<Moment> end_;
  int signal_ = 0;
};

void set_phases(const Stopwatch& stopwatch, Moment begin, Moment built, probe::Measured& out) {
  out.phases.build = seconds_between(begin, built);
  const auto launched = stopwatch.launched();
  if (!launched) return;
  out.phases.preflight = seconds_between(built, *launched);
  const auto ready = stopwatch.ready();
  auto from = launched;
  if (const auto first = stopwatch.first_output(); first && (!ready || *first <= *ready)) {
    out.phases.boot = seconds_between(*launched, *first);
    from = first;
  }
  if (!ready) return;
  out.phases.ready = seconds_between(*from, *ready);
  if (stopwatch.end()) out.phases.exit = seconds_between(*ready, *stopwatch.end());
  out.seconds = seconds_between(begin, *ready);
}

// What the report says of a start that did not get ready.
void take_report(const std::string& directory, BenchRun& out) {
  const Result<std::string> text = sys::read_file(directory + "/run.report.json");
  const Result<Value> report =
      text ? format::parse_json(*text, "run.report.json") : Result<Value>(fail(text.error()));
  if (!report) return;
  probe::Measured& run = out.measured;
  run.outcome = report->string_or("outcome", "");
  run.exit_status = static_cast<int>(report->int_or("exit_status", 0));
  if (run.seconds) return;
  const Value* error = report->find_path("error.what");
  run.error = error != nullptr && error->is_string()
                  ? error->as_string()
                  : fmt::format("it ended before it was ready: {}, status {}", run.outcome, run.exit_status);
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

RunStart start_of(const Project& project, const BenchWhat& what, const std::string& directory,
                  const sys::Fd& nothing, Stopwatch& stopwatch) {
  const model::Profile& profile = project.profiles().front();
  RunStart out;
  out.app = profile.name + "-bench";
  out.profile = profile.name;
  out.expanded = profile.value;
  out.verbatim = profile.verbatim;
  out.paths = Value::object({{"profile", profile.path}, {"chain", Value::strings(profile.chain)}});
  out.discovery = probe::to_value(project.candidates(profile.name));
  out.out_dir = directory;
  out.force = what.force;
  out.input = out.output = nothing.get();
  out.observer = &stopwatch;
  return out;
}

// The launch itself, and its evidence.
Result<> run_start(const Session& session, const BenchWhat& what, Project& project,
                   const LaunchOverrides& overrides, const RunStart& start, Moment& built) {
  ORCH_TRY(AppRun app, AppRun::begin(session, start));
  AppBuild build = build_app(session, project, overrides);
  app.end_phase("build");
  const auto done = [](const Result<int>& status) -> Result<> {
    ORCH_CHECK(status);
    return {};
  };
  if (build.interrupted != 0) {
    start.observer->asked_to_end(build.interrupted);
    return done(app.interrupted(build.interrupted));
  }
  if (build.error) return done(app.build_failed(*build.error, build.shown));
  app.warn(build.warnings);
  const Value* verify = project.profiles().front().value.find("verify");
  if (what.command.empty())
    app.set_stack(build.stack, verify != nullptr ? verify->string_or("mode", "stop") : "stop");
  const Result<model::LaunchSpec> spec = spec_of(project, what, *build.spec);
  if (!spec) return done(app.build_failed(spec.error()));
  built = Clock::now();
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
  out.files.push_back(build.spec->appdir);
  for (const model::LaunchImage& image : build.spec->images) out.files.push_back(image.path);
  // What the native launcher has extracted where it may not mount.
  const std::string extracted = session.cache_dir + "/native";
  if (sys::stat_file(extracted)) out.files.push_back(extracted);
  const Value* setting = profile.value.find_path("evidence.dir");
  if (setting != nullptr && setting->is_string()) out.evidence_setting = setting->as_string();
  out.complete = true;
  return out;
}

Result<BenchRun> measure_start(const Session& session, const BenchWhat& what, const BenchVariant& variant,
                               const std::string& directory) {
  ORCH_TRY(probe::ReadinessWatch watch, probe::ReadinessWatch::make(what.ready));
  Stopwatch stopwatch(std::move(watch), what.ready.kind);
  const sys::Fd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const Moment begin = Clock::now();
  LaunchOverrides overrides;
  ORCH_TRY(const std::unique_ptr<Project> project, open_project(session, what, variant, overrides));
  Moment built = begin;
  ORCH_CHECK(run_start(session, what, *project, overrides,
                       start_of(*project, what, directory, nothing, stopwatch), built));
  BenchRun out;
  out.signal = stopwatch.signal();
  set_phases(stopwatch, begin, built, out.measured);
  take_report(directory, out);
  return out;
}

}  // namespace orch::cli
