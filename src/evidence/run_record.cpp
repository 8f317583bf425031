#include "evidence/run_record.hpp"

#include "base/exit_status.hpp"
#include "base/text.hpp"
#include "evidence/ab_directory.hpp"
#include "evidence/bench_directory.hpp"
#include "evidence/moments.hpp"
#include "evidence/run_directory.hpp"
#include "format/json.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"

#include <fmt/format.h>

#include <sys/stat.h>

#include <algorithm>
#include <array>

namespace orch::evidence {

using base::ErrorKind;
using base::fail;

namespace {

constexpr const char* k_report_schema = "appimage-orch/run-report/1";
constexpr const char* k_inputs_schema = "appimage-orch/inputs/1";
constexpr std::array<std::string_view, 8> k_outcomes = {"running",          "exited",      "signaled",
                                                        "timed_out",        "interrupted", "launch_failed",
                                                        "preflight_failed", "build_failed"};

Result<Value> load_report(const std::string& directory) {
  ORCH_TRY(Value report, load_document(directory, "run.report.json", k_report_schema));
  const std::string outcome = report.string_or("outcome", "");
  if (std::find(k_outcomes.begin(), k_outcomes.end(), outcome) == k_outcomes.end())
    return fail(ErrorKind::corrupt, fmt::format("run.report.json: there is no outcome '{}'",
                                                base::printable(base::shortened(outcome, 60))));
  return report;
}

std::optional<std::int64_t> number(const Value& document, std::string_view key) {
  const Value* value = document.find(key);
  return value != nullptr && value->is_int() ? std::optional(value->as_int()) : std::nullopt;
}

std::optional<TimePoint> moment(const Value& document, std::string_view key) {
  return parse_moment(document.string_or(key, ""));
}

void take_times(RunSummary& out, const Value& report, TimePoint now) {
  out.started = moment(report, "started");
  const std::optional<TimePoint> end =
      out.state == RunState::running ? std::optional(now) : moment(report, "ended");
  if (out.started && end) out.seconds = std::chrono::duration<double>(*end - *out.started).count();
}

void take_report(RunSummary& out, const Value& report, TimePoint now) {
  out.outcome = out.state == RunState::killed ? "interrupted" : report.string_or("outcome", "");
  out.status = number(report, "status");
  out.signal = number(report, "signal");
  out.exit_status = number(report, "exit_status");
  out.app = report.string_or("profile", out.app);
  take_times(out, report, now);
}

void take_inputs(RunSummary& out, const Value& inputs) {
  if (const Value* profile = inputs.find("profile")) out.app = profile->string_or("name", out.app);
  if (!out.started) out.started = moment(inputs, "started");
}

bool says_running(const Result<Value>& report) {
  return report && report->string_or("outcome", "") == "running";
}

}  // namespace

Result<Value> load_document(const std::string& directory, const std::string& name, std::string_view schema) {
  constexpr off_t k_largest = off_t{64} << 20;
  const std::string path = directory + "/" + name;
  const sys::Result<struct stat> info = sys::stat_file(path);
  if (!info && info.error().kind == ErrorKind::not_found)
    return fail(ErrorKind::not_found, fmt::format("it has no {}", name));
  if (info &&
      (!S_ISREG(info->st_mode) || info->st_size > k_largest))  // a FIFO would keep the reader for ever
    return fail(ErrorKind::corrupt, fmt::format("{} is no file of a run", name));
  ORCH_TRY(const std::string text, sys::read_file(path));
  Result<Value> document = format::parse_json(text, name);
  if (!document) return fail(ErrorKind::corrupt, base::one_line(document.error()));
  const std::string found = document->string_or("schema", "");
  if (found != schema)
    return fail(ErrorKind::corrupt, fmt::format("{}: expected the schema '{}', found '{}'", name, schema,
                                                base::printable(base::shortened(found, 60))));
  return document;
}

std::string_view to_string(RunState state) {
  switch (state) {
    case RunState::running:
      return "running";
    case RunState::ended:
      return "ended";
    case RunState::killed:
      return "killed";
    case RunState::damaged:
      return "damaged";
  }
  return "damaged";
}

std::string outcome_words(const RunSummary& run) {
  if (run.state != RunState::ended) return std::string(to_string(run.state));
  if (run.outcome == "compared" && run.variants) return fmt::format("A/B of {}", *run.variants);
  if (run.outcome == "measured") return "benchmark";
  if (run.outcome == "exited" && run.status) return fmt::format("exit status {}", *run.status);
  if (run.signal) {
    const std::string name = sys::signal_name(static_cast<int>(*run.signal));
    if (run.outcome == "signaled") return fmt::format("signal {} ({})", *run.signal, name);
    if (run.outcome == "interrupted") return fmt::format("interrupted ({})", name);
  }
  std::string words = run.outcome;
  std::replace(words.begin(), words.end(), '_', ' ');
  const bool telling =
      run.outcome == "launch_failed" && run.exit_status && *run.exit_status != base::k_tool_failed;
  return telling ? fmt::format("{} ({})", words, *run.exit_status) : words;
}

bool has_run_files(const std::string& path) {
  return sys::exists(path + "/run.report.json") || sys::exists(path + "/inputs.json") ||
         sys::exists(path + "/run.log") || is_ab_directory(path) || is_bench_directory(path);
}

bool is_run_directory(const std::string& path) {
  const sys::Result<struct stat> info = sys::lstat_file(path);
  if (!info || !S_ISDIR(info->st_mode)) return false;
  return load_document(path, "run.report.json", k_report_schema) ||
         load_document(path, "inputs.json", k_inputs_schema) || is_ab_directory(path) ||
         is_bench_directory(path);
}

Run read_run(const std::string& path, const std::string& name, TimePoint now, Parts parts) {
  if (is_ab_directory(path)) return read_ab(path, name, now, parts);
  if (is_bench_directory(path)) return read_bench(path, name, now, parts);
  Run out;
  RunSummary& summary = out.summary;
  summary.path = path;
  summary.name = name;
  summary.app = name.starts_with('/') ? sys::file_name(path) : name.substr(0, name.find('/'));
  Result<Value> report = load_report(path);
  const bool live = is_running(path);
  // It may have ended between the two looks: then the report says so now.
  if (!live && says_running(report)) report = load_report(path);
  if (live)
    summary.state = RunState::running;
  else if (report)
    summary.state = says_running(report) ? RunState::killed : RunState::ended;
  else
    summary.problem = base::one_line(report.error());
  if (report) {
    // The last instants of a run: its report is final, its lock not given back yet.
    if (live && !says_running(report)) summary.state = RunState::ended;
    take_report(summary, *report, now);
  } else if (live) {
    summary.outcome = "running";  // its report is about to be written
  }
  if (parts == Parts::all || !report) {
    Result<Value> inputs = load_document(path, "inputs.json", k_inputs_schema);
    if (inputs)
      take_inputs(summary, *inputs);
    else
      out.inputs_problem = base::one_line(inputs.error());
    if (inputs && parts == Parts::all) out.inputs = *std::move(inputs);
  }
  if (!summary.started) summary.started = parse_stamp(sys::file_name(path));
  if (report && parts == Parts::all) out.report = *std::move(report);
  return out;
}

}  // namespace orch::evidence
