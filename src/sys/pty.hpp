// A child on a pseudo-terminal of its own, joined to the user's terminal: what script(1) does, with limits
// and an end.
#pragma once

#include "base/result.hpp"
#include "sys/process_tree.hpp"
#include "sys/signals.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch::sys {

struct PtyRun {
  // Runs in the child, a session leader whose controlling terminal is the pseudo-terminal, with standard
  // streams set up, signals as after a login, and SIGKILL sent to it when this process dies. Ends in exec;
  // what it returns is the child's exit status otherwise. The parent must have no other threads.
  std::function<int()> child;
  // Every byte that the pseudo-terminal gave, in order, before it is shown.
  std::function<void(std::string_view)> capture;
  int input = 0;   // the user's standard input
  int output = 1;  // where the child's output is shown
  // What the child gets as standard input where `input` is no terminal. direct: `input` itself, so that pipes
  // and files arrive unchanged. terminal: the pseudo-terminal; the bytes of `input` are typed into it, and at
  // their end the end-of-file character (twice, where the last line has no end).
  enum class Input { direct, terminal } piped_input = Input::direct;
  std::optional<std::chrono::milliseconds> timeout;
  std::chrono::milliseconds grace{2000};  // between asking to end and SIGKILL
  std::string interrupt_text;             // typed before SIGINT is passed on ("\x03" for a VM)

  // Looks now and then at what is outside of the child (a VM's lock, a file that it writes): soon after the start, then
  // whenever the time that it gave has passed, and before the child is asked to end. nullopt: not again.
  struct Seen {
    pid_t child = 0;
    std::uint64_t bytes = 0;  // of output so far
    bool blocked = false;     // output waits for somebody to take it
  };
  struct Watched {
    std::optional<std::chrono::milliseconds> again;
    bool end = false;         // ask the child to end, as a time limit does
    bool takes_input = true;  // false: nothing of an input that is no terminal is typed yet
    bool over = false;        // what the time limit is for has ended: it does not count any more
  };
  std::function<Watched(const Seen& seen)> watch;
};

struct PtyEnd {
  std::chrono::steady_clock::time_point ended_at;  // when the child was seen to have ended
  int status = 0;                                  // exit status, where signal is 0
  int signal = 0;                                  // that ended the child
  bool timed_out = false;
  bool ended_by_watch = false;
  int interrupted = 0;             // the signal by which this process was asked to end
  std::vector<ProcessName> ended;  // descendants that still ran when the child had ended
  bool output_lost = false;        // `output` could not be written to its end (the capture has it all)
  bool input_changed = false;  // a typed input had bytes or lines that a terminal does not carry as they are
};

// Runs it to its end. An Error only if no child could be started.
//  - `input` a terminal: it is put in raw mode while this process is in its foreground (Ctrl-C reaches the
//  child as a
//    byte), and restored in every case but SIGKILL; in the background nothing is read and nothing stops.
//  - The size of the user's terminal is the pseudo-terminal's, also after SIGWINCH; without one it is 80x24.
//  - Output is carried byte by byte; where `output` is no terminal the pseudo-terminal adds no carriage
//  returns.
//  - SIGINT, SIGTERM, SIGHUP, SIGQUIT: sent on to the child's session, SIGKILL after `grace` or at the second
//  signal.
//  - When the child has ended, its remaining descendants are ended and the output is read to its end. Where nobody takes it
//    (Ctrl-S, a pipe that is not read) this waits, unless the child was asked to end: then `grace`, and some may be lost.
Result<PtyEnd> run_on_pty(const PtyRun& run, SignalSession& signals);

}  // namespace orch::sys
