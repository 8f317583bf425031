// A report for the time in which no SignalSession is there (planning, resolving, hashing): a signal that asks for the end is
// then handled where it arrives, with what async-signal-safe functions can do.
#pragma once

#include <signal.h>

#include <functional>
#include <string>

namespace orch::evidence {

// What the handler of `signal` leaves: `document` in place of the file `to`, by way of the open file `fd` whose name is `from`
// (its blocks are reserved), and `message` on standard error; then the process ends with 128 + signal. `document` has
// k_ended_mark where the time of the end belongs.
struct LastWords {
  int fd = -1;
  std::string from;
  std::string to;
  std::string message;
  std::function<std::string(int signal)> document;
};

// As long as an RFC 3339 time with milliseconds.
inline constexpr const char* k_ended_mark = "0000-00-00T00:00:00.000Z";

// While this lives SIGINT, SIGTERM, SIGHUP and SIGQUIT wait.
class HeldSignals {
 public:
  HeldSignals();
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;
  ~HeldSignals();

 private:
  sigset_t before_{};
};

// For SIGINT, SIGTERM, SIGHUP and SIGQUIT, but those that were ignored. Replaces earlier ones; all texts are made here.
void prepare_last_words(const LastWords& words);
// From here on these signals are ignored: a report of another end is on its way, and the process ends after it. Without
// prepared words it does nothing.
void forget_last_words();
// The report is there: the next one of these signals ends the process, whatever it still has to say. Those that came meanwhile
// are dropped.
void let_signals_end();

// For a process that has several runs one after the other: while this lives, where those two would ignore these signals or let
// them end the process, they are noted, so that none is lost between two runs.
class NotedSignals {
 public:
  // gaps: between two runs. builds: also before each launch, where last words would be prepared; for runs of what is built already.
  enum class When { gaps, builds };
  explicit NotedSignals(When when);
  NotedSignals(const NotedSignals&) = delete;
  NotedSignals& operator=(const NotedSignals&) = delete;
  ~NotedSignals();  // from here on they end the process
};
// The first signal that NotedSignals took; 0: none, or there are no NotedSignals.
int noted_signal();

}  // namespace orch::evidence
