// Parts that both launchers are made of.
#pragma once

#include "launch/launcher.hpp"
#include "sys/pty.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace orch::launch {

// An argument vector and an environment as execve(2) wants them; the strings live as long as this.
class ProgramCall {
 public:
  ProgramCall(std::vector<std::string> argv, const sys::Environment& environment);
  ProgramCall(const ProgramCall&) = delete;
  ProgramCall& operator=(const ProgramCall&) = delete;
  const char* program() const { return words_[0].c_str(); }
  char* const* argv() const { return argv_.data(); }
  char* const* environment() const { return environment_.data(); }

 private:
  std::vector<std::string> words_;
  std::vector<std::string> variables_;
  std::vector<char*> argv_;
  std::vector<char*> environment_;
};

// The last bytes of a terminal's output, for messages that say how it ended. Carriage returns are left out.
class OutputTail {
 public:
  void add(std::string_view bytes);
  std::string text() const;

 private:
  static constexpr std::size_t k_kept = 64 * 1024;
  std::string bytes_;  // up to twice as many, so that few are moved
};

// Fills in the streams, the capture, the look and the time limit of a run. `tail` must outlive it.
void connect(sys::PtyRun& run, const model::LaunchSpec& spec, const RunContext& context, OutputTail& tail);

// What the wait status, a time limit, a look and signals say, before any launcher knows better.
Outcome outcome_of(const sys::PtyEnd& end);

// launch_failed with `status` (0: 125); the error's hint becomes advice.
Outcome failed_outcome(int status, base::Error error);

// The prelude ended the launch: guest_pre_failure = "stop".
Outcome prelude_failed(int status, std::string determined_by);
// The shell of the prelude ended, and the application had not begun.
Outcome prelude_replaced(int status, std::string determined_by);

// Known lines of a failed run's output become advice.
void add_advice(std::string_view output, Outcome& out);

// [{"path","role","digest"}], bottom first.
Value images_value(const model::LaunchSpec& spec);

// The check "entry": the program to start exists (it may be a symlink into the AppDir) and is executable.
Check check_entry(const model::LaunchSpec& spec);

// The first line that a program prints (standard output, else standard error); empty if it does not run.
std::string first_line_of(sys::ProcessRunner& processes, const std::vector<std::string>& argv);

}  // namespace orch::launch
