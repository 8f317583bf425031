#include "launch/parts.hpp"

#include "base/exit_status.hpp"
#include "base/text.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>

namespace orch::launch {

ProgramCall::ProgramCall(std::vector<std::string> argv, const sys::Environment& environment)
    : words_(std::move(argv)) {
  for (std::string& word : words_) argv_.push_back(word.data());
  argv_.push_back(nullptr);
  variables_.reserve(environment.size());
  for (const auto& [name, value] : environment) variables_.push_back(name + "=" + value);
  for (std::string& variable : variables_) environment_.push_back(variable.data());
  environment_.push_back(nullptr);
}

void OutputTail::add(std::string_view bytes) {
  if (bytes.size() >= k_kept) {
    bytes_ = bytes.substr(bytes.size() - k_kept);
    return;
  }
  if (bytes_.size() + bytes.size() > 2 * k_kept) bytes_.erase(0, bytes_.size() + bytes.size() - k_kept);
  bytes_.append(bytes);
}

std::string OutputTail::text() const {
  std::string out = bytes_;
  out.erase(std::remove(out.begin(), out.end(), '\r'), out.end());
  return out;
}

void connect(sys::PtyRun& run, const model::LaunchSpec& spec, const RunContext& context, OutputTail& tail) {
  run.capture = [&tail, capture = context.capture](std::string_view bytes) {
    tail.add(bytes);
    if (capture) capture(bytes);
  };
  run.input = context.input;
  run.output = context.output;
  if (spec.timeout_ms > 0) run.timeout = std::chrono::milliseconds(spec.timeout_ms);
  if (!context.look) return;
  run.watch = [look = context.look](const sys::PtyRun::Seen&) {
    const RunContext::Look seen = look();
    sys::PtyRun::Watched out;
    out.again = seen.again;
    out.end = seen.end;
    return out;
  };
}

Outcome outcome_of(const sys::PtyEnd& end) {
  Outcome out;
  out.raw = Value::object({{"status", end.status}, {"signal", end.signal}});
  out.determined_by = "wait status";
  out.ended = end.ended_at;
  out.kind = end.signal != 0 ? Outcome::Kind::signaled : Outcome::Kind::exited;
  out.status = end.status;
  out.signal = end.signal;
  if (end.timed_out) {
    out.kind = Outcome::Kind::timed_out;
    out.determined_by = "timeout";
  } else if (end.interrupted != 0) {
    out.kind = Outcome::Kind::interrupted;
    out.signal = end.interrupted;
    out.determined_by = "signal";
  } else if (end.ended_by_watch) {
    out.kind = Outcome::Kind::interrupted;
    out.signal = SIGTERM;
    out.determined_by = "readiness";
  }
  if (!end.ended.empty()) {
    std::vector<std::string> names;
    for (const sys::ProcessName& process : end.ended)
      if (!process.name.starts_with("passt"))
        names.push_back(base::printable(process.name));  // muvm's own helper
    if (!names.empty())
      out.warnings.push_back(
          fmt::format("processes that still ran at the end were ended, as a VM's end does it: {}",
                      base::join(names, ", ")));
  }
  if (end.input_changed)
    out.warnings.emplace_back(
        "standard input reaches a VM as if it were typed: its control characters, or lines of more than 4095 "
        "bytes, did not "
        "arrive as they are; name a file to the application instead");
  if (end.output_lost)
    out.warnings.emplace_back("standard output took not all of the output; run.log has it");
  return out;
}

Outcome failed_outcome(int status, base::Error error) {
  Outcome out;
  out.kind = Outcome::Kind::launch_failed;
  out.status = status;
  out.determined_by = "set-up";
  if (!error.hint.empty()) out.advice.push_back(error.hint);
  out.error = std::move(error);
  return out;
}

Outcome prelude_failed(int status, std::string determined_by) {
  Outcome out = failed_outcome(
      0, {base::ErrorKind::step,
          fmt::format("a guest_pre command ended with status {}, so the application was not started", status),
          "mend it, or set [launch] guest_pre_failure = \"warn\""});
  out.determined_by = std::move(determined_by);
  return out;
}

Outcome prelude_replaced(int status, std::string determined_by) {
  Outcome out;
  out.determined_by = determined_by;
  out.raw = Value::object();
  for (const int signal : {SIGHUP, SIGINT, SIGTERM})  // the text's traps
    if (status == base::k_signal_base + signal) {
      out.kind = Outcome::Kind::signaled;
      out.signal = signal;
      return out;
    }
  out = failed_outcome(
      0, {base::ErrorKind::step,
          fmt::format("a guest_pre command replaced the shell or ended it (with status {}), so the "
                      "application was not started",
                      status),
          "take `exec PROGRAM`, `kill $$`, `command trap` and `\\trap` out of it (bash ends even where "
          "PROGRAM cannot be started); `exec` with redirections alone may stay"});
  out.determined_by = std::move(determined_by);
  return out;
}

void add_advice(std::string_view output, Outcome& out) {
  const bool well = out.kind == Outcome::Kind::exited && out.status == 0;
  if (well || out.kind == Outcome::Kind::interrupted) return;  // what it printed was no failure
  out.signatures = advice_for(output);
  for (const Advice& advice : out.signatures) {
    std::string text = fmt::format("{}: {}", advice.meaning, advice.action);
    if (std::find(out.advice.begin(), out.advice.end(), text) == out.advice.end())
      out.advice.push_back(std::move(text));
  }
}

Value images_value(const model::LaunchSpec& spec) {
  Value out = Value::array();
  for (const model::LaunchImage& image : spec.images)
    out.push(Value::object({{"path", image.path}, {"role", image.role}, {"digest", image.digest}}));
  return out;
}

Check check_entry(const model::LaunchSpec& spec) {
  const std::string entry = model::entry_of(spec);
  if (!spec.entry.empty()) return {"entry", Check::Status::skipped, "it lies in the merged view", ""};
  const sys::Result<struct stat> link = sys::lstat_file(entry);
  if (!link)
    return {"entry", Check::Status::failed, base::one_line(link.error()),
            "the AppImage has no AppRun: look at it with 'inspect'"};
  const sys::Result<struct stat> info = sys::stat_file(entry);
  if (info && (!S_ISREG(info->st_mode) || (info->st_mode & 0111) == 0))
    return {"entry", Check::Status::failed, fmt::format("'{}' is not executable", base::printable(entry)),
            "the AppImage is broken: report it to its makers"};
  return {"entry", Check::Status::ok, entry, ""};
}

std::string first_line_of(sys::ProcessRunner& processes, const std::vector<std::string>& argv) {
  sys::Command command;
  command.argv = argv;
  command.timeout = std::chrono::seconds(10);
  const sys::Result<sys::Exit> exit = processes.run(command);
  if (!exit) return {};
  const std::string& text = exit->output.empty() ? exit->errors : exit->output;
  return text.substr(0, text.find('\n'));
}

}  // namespace orch::launch
