// Runs ninja in a build folder and follows its steps.
#pragma once

#include "base/result.hpp"
#include "ninja/events.hpp"
#include "sys/process.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace orch::ninja {

using base::Result;

struct RunOptions {
  std::string folder;                // absolute
  std::vector<std::string> targets;  // empty: the default
  unsigned jobs = 0;                 // 0: ninja's own choice
  bool keep_going = false;
  int lock_fd = -1;         // the build lock, inherited by ninja and its steps
  std::string search_path;  // PATH to find ninja in
  std::function<void(const Event&)> on_event;
  std::function<void()> on_tick;                    // about ten times a second, for a live line
  int signal_fd = -1;                               // readable when next_signal() has something
  std::function<std::optional<int>()> next_signal;  // the next signal that reached the tool
};

struct RunResult {
  sys::Exit exit;
  std::string output;   // what ninja printed itself (ninja.log)
  int interrupted = 0;  // the signal that ended it
};

// SIGINT, SIGTERM and SIGHUP end ninja and its steps, a second one at once; SIGTSTP stops this process as a
// shell expects it. An Error only where ninja could not be started (not installed: with the package to
// install).
Result<RunResult> run_ninja(const RunOptions& options, sys::ProcessRunner& processes);

}  // namespace orch::ninja
