// One run of an application with its evidence, from the first moment to the exit status. `run` and `ninja
// launch/NAME` both end here.
#pragma once

#include "base/result.hpp"
#include "cli/command.hpp"
#include "evidence/report.hpp"
#include "evidence/run_directory.hpp"
#include "launch/launcher.hpp"
#include "model/launch.hpp"
#include "model/profile.hpp"
#include "sys/signals.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch::cli {

// Looks on while the launcher runs the application. Its owner tells the user what went wrong: the run only writes it down.
class RunObserver {
 public:
  virtual ~RunObserver() = default;
  virtual void started() = 0;                              // the checks are done
  virtual void began() = 0;                                // the application's command has, see RunContext
  virtual void output(std::string_view bytes) = 0;         // of its terminal, as they come
  virtual launch::RunContext::Look look() = 0;             // see there
  virtual void ended(const launch::Outcome& outcome) = 0;  // before the report is written
  virtual void asked_to_end(int signal) = 0;  // from outside, at any time until the report was written
};

// What is known of a run before anything is built.
struct RunStart {
  std::string app;                               // names the evidence folder
  std::string profile;                           // the profile's name; empty for none
  base::Value expanded;                          // the resolved profile
  std::string verbatim;                          // its text
  base::Value paths;                             // further paths worth recording, an object
  base::Value discovery = base::Value::array();  // candidates that were looked at, see probe/discovery.hpp
  std::string evidence_setting;                  // [evidence] dir, or "auto"
  std::string out_dir;                           // --out-dir
  bool force = false;                            // --force
  int input = 0;                                 // of the application: descriptors
  int output = 1;
  RunObserver* observer = nullptr;  // outlives the run
};

// [evidence] dir of a profile; "auto".
std::string evidence_setting(const base::Value& profile);
// Where evidence of `app` goes; `setting`: evidence_setting().
evidence::Place evidence_place_of(const Session& session, const std::string& setting, const std::string& app,
                                  const std::string& out_dir, bool force);

// From begin() on, every way to the end leaves a report: call exactly one of build_failed(), interrupted()
// and launch(). The evidence's place and any failure are told on standard error.
class AppRun {
 public:
  static Result<AppRun> begin(const Session& session, const RunStart& start);

  // The time since the last phase ended (or since begin) was spent on `name`.
  void end_phase(const std::string& name);
  // Ends the run as "build_failed"; the exit status is 125. An error that the build has shown already is not told
  // again.
  enum class Shown { no, yes };
  Result<int> build_failed(const base::Error& error, Shown shown = Shown::no);
  // Ends the run as "interrupted" by a signal before the application ran; the exit status is 128 + signal.
  Result<int> interrupted(int signal);
  // The profile has changed since begin().
  void set_profile(const model::Profile& profile);
  // For the report, and shown at the end.
  void warn(const std::vector<std::string>& warnings);
  // What `verify` found (a stack report, may be null), for the evidence. A problem stops launch() after the
  // launcher's own checks, or is a warning where `mode` ([verify] mode) is "warn".
  void set_stack(const base::Value& report, const std::string& mode);
  // Checks, launches and reports; the result is this tool's exit status. An Error: evidence could not be
  // written.
  Result<int> launch(model::LaunchSpec spec);

  const std::string& directory() const { return files_.path(); }

 private:
  AppRun(const Session& session, evidence::RunDirectory files, RunStart start);
  Result<> write_inputs(const model::LaunchSpec* spec, launch::Launcher* launcher, const launch::Host* host);
  Result<int> finish(int exit_status);
  Result<int> launch_failed(const base::Error& error);
  void take_outcome(const launch::Outcome& outcome);
  void describe(const model::LaunchSpec& spec, launch::Launcher& launcher);
  std::string guest_record(const model::LaunchSpec& spec) const;
  Result<int> launch_with(const model::LaunchSpec& spec, launch::Launcher& launcher, const launch::Host& host,
                          sys::SignalSession& signals);
  std::optional<base::Error> take_checks(const std::vector<launch::Check>& checks);
  std::optional<base::Error> unless_forced(std::optional<base::Error> refused);
  bool wants_guest_check() const;
  Result<std::optional<base::Error>> guest_check(const model::LaunchSpec& spec, launch::Launcher& launcher,
                                                 sys::SignalSession& signals);
  std::optional<base::Error> preflight(const model::LaunchSpec& spec, launch::Launcher& launcher);
  void begin_capture();
  void add_launch_phases(const launch::Outcome& outcome);
  void prepare_for_signals();
  void say_warnings();
  void say_the_rest();
  base::Error time_is_up(std::int64_t timeout_ms) const;
  void say(const base::Error& error) const;

  const Session* session_;
  evidence::RunDirectory files_;
  RunStart start_;
  evidence::RunReport report_;
  std::chrono::steady_clock::time_point phase_start_;
  std::optional<base::Error> stack_problem_;
  std::size_t said_ = 0;   // of the report's warnings
  bool for_good_ = false;  // refused, and --force cannot go on
};

}  // namespace orch::cli
