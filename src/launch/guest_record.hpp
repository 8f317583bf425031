// What the guest's shell writes down about the application: the only account of its end that does not pass through muvm,
// whose own status and messages are silent or ambiguous in several cases. guest_script.hpp has the script.
//
// Lines: "started PID GROUP" (of the shell), then "directory" (it could not be entered, the end), or with a prelude "prelude",
// and "pre N" (a command of it stopped the launch) or "application"; then "ended N", before it the shell's words about a
// signal. Empty lines are reserved space.
#pragma once

#include "base/exit_status.hpp"
#include "base/result.hpp"

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

namespace orch::launch {

struct GuestRecord {
  bool kept = false;  // a record was asked for
  bool started = false;
  pid_t pid = 0;    // of the shell, in the guest
  pid_t group = 0;  // its process group, in the guest
  bool no_directory = false;
  bool preparing = false;      // the prelude has begun, and the application has not
  std::optional<int> prelude;  // status of the command that failed
  std::optional<int> ended;    // the application's status; 128+N after signal N
  std::string message;         // the shell's words about a signal; empty: it exited

  // The signal that ended the application, 0 for none. SIGINT and SIGPIPE are not told apart from an exit with 128+N:
  // shells keep silent about them.
  int signal() const {
    constexpr int k_last_signal = 64;
    const int number = ended && !message.empty() ? *ended - base::k_signal_base : 0;
    return number > 0 && number <= k_last_signal ? number : 0;
  }
};

GuestRecord parse_guest_record(std::string_view text);
// The record at `path`; one that is not there has not started.
GuestRecord read_guest_record(const std::string& path);
// Makes the file, its space reserved (on btrfs by asking for writes in place, which a snapshot undoes); one that is there is
// made empty where it lies, because a guest may remember which file the name stands for.
base::Result<> reserve_guest_record(const std::string& path);
// Makes PATH.cancelled: a guest that begins after that ends at once, with 125.
base::Result<> cancel_guest(const std::string& path);

}  // namespace orch::launch
