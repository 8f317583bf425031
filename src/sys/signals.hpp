// Signals as data while a child runs: blocked, and read one by one from a descriptor that poll(2)
// understands.
#pragma once

#include "base/result.hpp"
#include "sys/fd.hpp"

#include <signal.h>

#include <optional>

namespace orch::sys {

using base::Result;

// From begin() to its destruction SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGCHLD, SIGWINCH,
// SIGPIPE, SIGTTIN and SIGTTOU do nothing but wait in fd(). Begin it before threads are started (they inherit
// the mask). What still waits at the end is dropped, so a late Ctrl-C cannot end the tool between its report
// and its exit. A signal that was ignored when the tool started (nohup) stays ignored: the kernel does not
// queue it.
class SignalSession {
 public:
  static Result<SignalSession> begin();
  SignalSession(SignalSession&&) noexcept;
  SignalSession& operator=(SignalSession&&) = delete;
  ~SignalSession();

  int fd() const { return fd_.get(); }
  // The next waiting signal; nullopt if there is none. Never blocks.
  std::optional<int> next();
  // The first signal that asked for the end of the run (see is_request_to_end); 0 if there was none.
  int end_requested() const { return end_requested_; }

 private:
  SignalSession(Fd fd, sigset_t before) : fd_(std::move(fd)), before_(before) {}
  Fd fd_;
  sigset_t before_{};
  int end_requested_ = 0;
};

// SIGINT, SIGTERM, SIGHUP or SIGQUIT.
bool is_request_to_end(int number);

// For a child after fork: every disposition as after a login, nothing blocked. Async-signal-safe.
void reset_signals_in_child();

}  // namespace orch::sys
