#include "cli/launch_app.hpp"

#include "base/exit_status.hpp"
#include "base/text.hpp"
#include "cli/image_manifests.hpp"
#include "cli/launch_spec.hpp"
#include "cli/say.hpp"
#include "cli/stack_report.hpp"
#include "evidence/host_facts.hpp"
#include "evidence/last_words.hpp"
#include "launch/guest_check.hpp"
#include "launch/host_packages.hpp"
#include "launch/muvm_check.hpp"
#include "sys/clock.hpp"
#include "sys/file.hpp"
#include "sys/signals.hpp"
#include "sys/terminal.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>

namespace orch::cli {

using base::Value;

namespace {

Value tools_value(const std::vector<launch::Tool>& tools) {
  Value out = Value::array();
  for (const launch::Tool& tool : tools)
    out.push(Value::object(
        {{"name", tool.name}, {"path", base::or_null(tool.path)}, {"version", base::or_null(tool.version)}}));
  return out;
}

Value packages_value(const std::vector<launch::HostPackage>& packages) {
  Value out = Value::array();
  for (const launch::HostPackage& package : packages)
    out.push(Value::object({{"name", package.name}, {"version", package.version}}));
  return out;
}

constexpr const char* k_redaction =
    "values of variables and options whose names look like secrets (TOKEN, SECRET, PASSWORD, KEY, …), and "
    "passwords in "
    "addresses, are replaced by [redacted]";

Value configuration_value(const std::vector<launch::Configuration>& configurations) {
  Value out = Value::array();
  for (const launch::Configuration& configuration : configurations)
    out.push(Value::object({{"name", configuration.name},
                            {"path", configuration.path},
                            {"content", configuration.content},
                            {"problem", base::or_null(configuration.problem)}}));
  return out;
}

Value environment_value(const sys::Environment& environment) {
  Value out = Value::object();
  for (const auto& [name, value] : environment) out.set(name, value);
  return out;
}

// What the terminal does not show by itself, and a status of this tool's own could mean as well.
std::string end_in_words(const evidence::RunReport& report) {
  constexpr int k_first_own_status = 124;
  const std::string name = base::printable(report.profile);
  if (report.outcome == "signaled" && report.signal)
    return fmt::format("'{}' was ended by {}", name, sys::signal_name(*report.signal));
  if (report.outcome == "exited" && report.status && *report.status >= k_first_own_status)
    return fmt::format("'{}' ended with status {}", name, *report.status);
  return {};
}

}  // namespace

std::string evidence_setting(const Value& profile) {
  const Value* setting = profile.find_path("evidence.dir");
  return setting != nullptr && setting->is_string() ? setting->as_string() : "auto";
}

evidence::Place evidence_place_of(const Session& session, const std::string& setting, const std::string& app,
                                  const std::string& out_dir, bool force) {
  evidence::Place out;
  out.root = evidence::evidence_root(setting, sys::absolute_path("."), session.state_dir);
  out.app = app;
  out.out_dir = out_dir;
  if (force) out.occupied = evidence::Place::Occupied::replace;
  out.now = sys::SystemClock().now();
  return out;
}

AppRun::AppRun(const Session& session, evidence::RunDirectory files, RunStart start)
    : session_(&session),
      files_(std::move(files)),
      start_(std::move(start)),
      phase_start_(std::chrono::steady_clock::now()) {
  const sys::SystemClock clock;
  report_.tool_version = ORCH_VERSION;
  report_.profile = start_.profile;
  report_.pid = ::getpid();
  report_.boot_id = sys::boot_id();
  report_.started = sys::rfc3339(clock.now());
}

Result<AppRun> AppRun::begin(const Session& session, const RunStart& start) {
  const evidence::Place place =
      evidence_place_of(session, start.evidence_setting, start.app, start.out_dir, start.force);
  const evidence::HeldSignals held;  // no directory without a report and inputs.json
  ORCH_TRY(evidence::RunDirectory files, evidence::RunDirectory::create(place));
  AppRun out(session, std::move(files), start);
  // In this order: whoever finds inputs.json finds a report.
  ORCH_CHECK(out.files_.write_report(to_value(out.report_)));
  ORCH_CHECK(out.write_inputs(nullptr, nullptr, nullptr));
  out.prepare_for_signals();
  return out;
}

// For the time in which nothing waits for signals.
void AppRun::prepare_for_signals() {
  using Tell = evidence::RunDirectory::Tell;
  const auto report = [this](int signal) {
    evidence::RunReport out = report_;
    out.outcome = "interrupted";
    out.signal = signal;
    out.determined_by = "signal";
    out.exit_status = base::k_signal_base + signal;
    out.ended = evidence::k_ended_mark;
    return to_value(out);
  };
  // Nor does a standard error that nobody reads any more end a run.
  std::signal(SIGPIPE, SIG_IGN);
  files_.prepare_last_words(report, session_->verbosity == Verbosity::quiet ? Tell::no : Tell::yes);
}

void AppRun::end_phase(const std::string& name) {
  const auto now = std::chrono::steady_clock::now();
  report_.phases.emplace_back(name, std::chrono::duration<double>(now - phase_start_).count());
  phase_start_ = now;
}

Result<> AppRun::write_inputs(const model::LaunchSpec* spec, launch::Launcher* launcher,
                              const launch::Host* host) {
  Value paths = start_.paths.is_object() ? start_.paths : Value::object();
  paths.set("evidence", files_.path());
  paths.set("cache", session_->cache_dir);
  paths.set("directory", sys::absolute_path("."));
  Value inputs = Value::object({{"schema", "appimage-orch/inputs/1"},
                                {"tool_version", ORCH_VERSION},
                                {"started", report_.started},
                                {"profile", Value::object({{"name", base::or_null(start_.profile)},
                                                           {"expanded", start_.expanded},
                                                           {"verbatim", base::or_null(start_.verbatim)}})},
                                {"paths", std::move(paths)},
                                {"discovery", start_.discovery},
                                {"launch", nullptr},
                                {"command", nullptr},
                                {"tools", Value::array()},
                                {"packages", Value::array()},
                                {"manifests", Value::array()},
                                {"host", evidence::host_facts()},
                                {"environment", environment_value(session_->environment)},
                                {"guest", nullptr},
                                {"configuration", Value::array()},
                                {"redacted", k_redaction}});
  if (spec != nullptr) {
    inputs.set("launch", to_value(*spec));
    inputs.set("command", launcher->describe(without_secrets(*spec)));
    inputs.set("tools", tools_value(launcher->tools(*spec)));
    inputs.set("manifests", image_manifests(spec->images));
    inputs.set("guest",
               Value::object({{"environment", environment_value(launcher->guest_environment(*spec))}}));
    if (spec->launcher == "muvm") {
      inputs.set("configuration", configuration_value(host->configurations));
      inputs.set("packages", packages_value(launch::host_packages(*host)));
    }
  }
  return files_.write_inputs(inputs);
}

void AppRun::say(const base::Error& error) const {
  if (start_.observer != nullptr) return;
  const std::string text =
      render(error, session_->colour ? "\x1b[1;31m" : "", session_->colour ? "\x1b[0m" : "");
  cli::say(std::string_view(text));
}

Result<int> AppRun::finish(int exit_status) {
  files_.end_capture();
  report_.exit_status = exit_status;
  report_.ended = sys::rfc3339(sys::SystemClock().now());
  report_.log_bytes = files_.log().bytes();
  report_.log_truncated = files_.log().truncated();
  report_.log_left_out = files_.log().left_out();
  if (files_.log().left_out() != 0)
    report_.warnings.push_back(fmt::format(
        "run.log has the beginning and the end: {} bytes in between are left out ([evidence] max_log)",
        files_.log().left_out()));
  if (!files_.log().problem().empty())
    report_.warnings.push_back(
        fmt::format("run.log could not be written to its end ({}): it has {} of {} bytes",
                    files_.log().problem(), files_.log().bytes(), files_.log().seen()));
  if (!files_.cast().problem().empty())
    report_.warnings.push_back(
        fmt::format("run.cast could not be written to its end ({})", files_.cast().problem()));
  report_.warnings.insert(report_.warnings.end(), files_.capture_problems().begin(),
                          files_.capture_problems().end());
  // How the application ended is not lost with the report.
  if (const Result<> written = files_.finish(to_value(report_)); !written) say(written.error());
  evidence::let_signals_end();
  if (session_->verbosity != Verbosity::quiet) say_the_rest();
  return exit_status;
}

void AppRun::say_warnings() {
  if (session_->verbosity == Verbosity::quiet) return;
  for (; said_ < report_.warnings.size(); ++said_) cli::say("warning: {}\n", report_.warnings[said_]);
}

void AppRun::say_the_rest() {
  say_warnings();
  if (const std::string words = end_in_words(report_); !words.empty()) cli::say("{}\n", words);
  for (const std::string& advice : report_.advice)
    if (!report_.error || advice != report_.error->hint)  // that one was shown with the error
      cli::say("hint: {}\n", advice);
  cli::say("evidence: {}\n", base::printable(files_.path()));
}

Result<int> AppRun::build_failed(const base::Error& error, Shown shown) {
  report_.outcome = "build_failed";
  report_.error = error;
  if (!error.hint.empty()) report_.advice.push_back(error.hint);
  if (shown == Shown::no)
    say(error);
  else
    say({error.kind, fmt::format("'{}' was not started, because a step failed", base::printable(start_.app)),
         ""});
  return finish(base::k_tool_failed);
}

Result<int> AppRun::interrupted(int signal) {
  cli::hurry();
  report_.outcome = "interrupted";
  report_.signal = signal;
  report_.determined_by = "signal";
  return finish(base::k_signal_base + signal);
}

void AppRun::describe(const model::LaunchSpec& spec, launch::Launcher& launcher) {
  const Value command = launcher.describe(without_secrets(spec));
  report_.launcher = spec.launcher;
  if (const Value* argv = command.find("argv"); argv != nullptr && argv->is_array())
    for (const Value& word : argv->as_array()) report_.argv.push_back(word.as_string());
  if (const Value* env = command.find("env")) report_.environment = *env;
  report_.images = spec.images;
  report_.app_path = spec.appimage;
  report_.app_sha256 = spec.appimage_sha256;
}

void AppRun::take_outcome(const launch::Outcome& outcome) {
  using Kind = launch::Outcome::Kind;
  const bool last = start_.observer == nullptr;  // else others come after it
  if (last && (outcome.kind == Kind::timed_out || outcome.kind == Kind::interrupted)) cli::hurry();
  report_.outcome = to_string(outcome.kind);
  if (outcome.kind == Kind::exited) report_.status = outcome.status;
  if (outcome.kind == Kind::signaled || outcome.kind == Kind::interrupted) report_.signal = outcome.signal;
  report_.determined_by = outcome.determined_by;
  report_.raw = outcome.raw;
  report_.vm_reused = outcome.vm_reused;
  report_.error = outcome.error;
  warn(outcome.warnings);
  report_.advice.insert(report_.advice.end(), outcome.advice.begin(), outcome.advice.end());
  report_.signatures = Value::array();
  for (const launch::Advice& advice : outcome.signatures)
    report_.signatures.push(Value::object(
        {{"id", advice.id}, {"line", advice.line}, {"meaning", advice.meaning}, {"action", advice.action}}));
}

// Nothing else would say why the application is gone.
base::Error AppRun::time_is_up(std::int64_t timeout_ms) const {
  return {base::ErrorKind::step,
          fmt::format("'{}' was ended after {}, the time limit that it was given",
                      base::printable(start_.profile.empty() ? start_.app : start_.profile),
                      base::human_seconds(static_cast<double>(timeout_ms) / 1000)),
          "give it more with --timeout (\"--timeout 0s\": no limit), or as launch.timeout in the profile"};
}

void AppRun::set_profile(const model::Profile& profile) {
  start_.expanded = profile.value;
  start_.verbatim = profile.verbatim;
}

void AppRun::warn(const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) {
    const auto known = [&warning](const std::string& other) { return other.starts_with(warning); };
    if (std::none_of(report_.warnings.begin(), report_.warnings.end(), known))
      report_.warnings.push_back(warning);
  }
}

void AppRun::set_stack(const Value& report, const std::string& mode) {
  if (report.is_null()) return;
  report_.verify = stack_summary(report);
  std::optional<base::Error> problem = stack_problem(start_.profile, start_.expanded, report);
  if (!problem) return;
  if (mode == "warn")
    report_.warnings.push_back(problem->what);
  else
    stack_problem_ = std::move(problem);
}

// Where the guest keeps its record: in the evidence, unless a VM has something else at that path.
std::string AppRun::guest_record(const model::LaunchSpec& spec) const {
  const sys::Result<std::string> folder = sys::real_path(files_.path());
  if (spec.launcher != "muvm" || !folder || launch::is_hidden_in_guest(*folder)) return {};
  return *folder + "/guest.record";
}

std::optional<base::Error> AppRun::preflight(const model::LaunchSpec& spec, launch::Launcher& launcher) {
  report_.checks = Value::array();
  std::optional<base::Error> refused = take_checks(launcher.check(spec));
  if (!refused) refused = std::move(stack_problem_);
  return unless_forced(std::move(refused));
}

std::optional<base::Error> AppRun::take_checks(const std::vector<launch::Check>& checks) {
  using Status = launch::Check::Status;
  for (const launch::Check& check : checks) {
    report_.checks.push(to_value(check));
    if (check.status == Status::warning)
      warn({check.remedy.empty() ? check.detail : check.detail + ": " + check.remedy});
  }
  std::optional<base::Error> refused = first_failure(checks);
  for (const launch::Check& check : checks) {
    if (check.status != Status::failed || !check.needed || !start_.force) continue;
    refused = {base::ErrorKind::unsupported, check.detail, check.remedy + "; --force does not help here"};
    for_good_ = true;
  }
  return refused;
}

bool AppRun::wants_guest_check() const {
  const Value* setting =
      start_.expanded.is_object() ? start_.expanded.find_path("preflight.guest_check") : nullptr;
  return setting != nullptr && setting->is_bool() && setting->as_bool();
}

// A launch of its own, before the application's: its output is no part of the run's.
Result<std::optional<base::Error>> AppRun::guest_check(const model::LaunchSpec& spec,
                                                       launch::Launcher& launcher,
                                                       sys::SignalSession& signals) {
  ORCH_TRY(const std::vector<launch::Check> checks, launch::check_guest(spec, launcher, signals));
  return unless_forced(take_checks(checks));
}

// A failed check ends the run, or with --force becomes a warning.
std::optional<base::Error> AppRun::unless_forced(std::optional<base::Error> refused) {
  if (!refused || !start_.force || for_good_) return refused;
  report_.forced = true;
  report_.warnings.push_back("the preflight failed, and --force went on: " + base::one_line(*refused));
  return std::nullopt;
}

void AppRun::add_launch_phases(const launch::Outcome& outcome) {
  if (outcome.phases.empty()) return end_phase("launch");
  report_.phases.insert(report_.phases.end(), outcome.phases.begin(), outcome.phases.end());
}

void AppRun::begin_capture() {
  const Value* setting = start_.expanded.is_object() ? start_.expanded.find("evidence") : nullptr;
  evidence::Capture capture;
  if (setting != nullptr) {
    capture.max_log = static_cast<std::uint64_t>(std::max<std::int64_t>(0, setting->int_or("max_log", 0)));
    capture.cast = setting->bool_or("cast", true);
    capture.plain = setting->bool_or("plain", false);
  }
  const sys::WindowSize window = sys::user_window({STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO});
  const std::int64_t now =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  files_.begin_capture(capture, {window.columns, window.rows, now, start_.app});
}

// A defect, or a lack of resources.
Result<int> AppRun::launch_failed(const base::Error& error) {
  report_.outcome = "launch_failed";
  report_.error = error;
  say(error);
  return finish(base::k_tool_failed);
}

Result<int> AppRun::launch(model::LaunchSpec spec) {
  sys::SystemProcessRunner processes;
  const launch::Host host = launch_host(*session_, processes, spec);
  spec.record = guest_record(spec);
  ORCH_TRY(const std::unique_ptr<launch::Launcher> launcher, launch::make_launcher(spec.launcher, host));
  ORCH_TRY(sys::SignalSession signals, sys::SignalSession::begin());
  Result<int> status = launch_with(spec, *launcher, host, signals);
  while (signals.next()) {
  }
  const int asked = signals.end_requested() != 0 ? signals.end_requested() : evidence::noted_signal();
  if (start_.observer != nullptr && asked != 0) start_.observer->asked_to_end(asked);
  return status;
}

Result<int> AppRun::launch_with(const model::LaunchSpec& spec, launch::Launcher& launcher,
                                const launch::Host& host, sys::SignalSession& signals) {
  // One that came while nothing waited for signals.
  if (const int signal = evidence::noted_signal(); signal != 0) return interrupted(signal);
  describe(spec, launcher);
  Result<> written = write_inputs(&spec, &launcher, &host);
  if (written) written = files_.write_report(to_value(report_));
  if (!written) return launch_failed(written.error());

  std::optional<base::Error> refused = preflight(spec, launcher);
  end_phase("preflight");
  if (!refused && wants_guest_check()) {
    Result<std::optional<base::Error>> looked = guest_check(spec, launcher, signals);
    end_phase("guest-check");
    if (!looked) return launch_failed(looked.error());
    refused = *std::move(looked);
    if (signals.end_requested() != 0) return interrupted(signals.end_requested());
  }
  while (signals.next()) {
  }
  // What was refused because its helper got the same Ctrl-C was interrupted.
  if (signals.end_requested() != 0) return interrupted(signals.end_requested());
  if (refused) {
    report_.outcome = "preflight_failed";
    report_.advice.push_back(refused->hint);
    say(*refused);
    report_.error = std::move(refused);
    return finish(base::k_tool_failed);
  }

  say_warnings();
  launch::RunContext context;
  context.signals = &signals;
  context.input = start_.input;
  context.output = start_.output;
  RunObserver* const observer = start_.observer;
  context.capture = [this, observer](std::string_view bytes) {
    if (observer != nullptr) observer->output(bytes);
    files_.capture(bytes);
  };
  if (observer != nullptr) {
    context.began = [observer] { observer->began(); };
    context.look = [observer] { return observer->look(); };
  }
  begin_capture();
  context.notify = [this](const std::string& text) {
    if (session_->verbosity != Verbosity::quiet) cli::say("{}\n", text);
  };
  if (observer != nullptr) observer->started();
  const Result<launch::Outcome> outcome = launcher.run(spec, context);
  if (!outcome) {
    end_phase("launch");
    return launch_failed(outcome.error());
  }
  if (observer != nullptr) observer->ended(*outcome);
  add_launch_phases(*outcome);
  while (signals.next()) {
  }
  // What failed because its helper got the same Ctrl-C was interrupted.
  if (outcome->kind == launch::Outcome::Kind::launch_failed && signals.end_requested() != 0)
    return interrupted(signals.end_requested());
  take_outcome(*outcome);
  if (outcome->kind == launch::Outcome::Kind::timed_out && !report_.error) {
    report_.error = time_is_up(spec.timeout_ms);
    report_.advice.push_back(report_.error->hint);
    say(*report_.error);
  }
  if (outcome->error) say(*outcome->error);
  return finish(outcome->exit_status());
}

}  // namespace orch::cli
