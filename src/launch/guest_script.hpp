// Shell text for what cannot be said with an argument vector alone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace orch::launch {

// What a command of the prelude does to the application when it fails.
enum class PreludeFailure { warn, stop };

// POSIX shell text that runs each command and then becomes the program of "$@". The commands run in this very shell, so that
// what they export, change to or limit reaches the program; but "$@" and `set -e` of theirs do not, nor does `return`. One
// that fails is reported on standard error, and so is one that calls `exit`, after which no further one runs; neither keeps the
// program from starting, unless `failure` says stop: then the text ends with status 125. A trap on EXIT of theirs does not
// run, outside of their subshells. Nothing helps against a command that replaces the shell (`exec PROGRAM`; bash ends where it
// cannot be started, too), or against `command trap` on EXIT before `exit`. With a `record_fd` that is not negative "prelude" is written there
// before the first command, "pre N" (N the status) where one stopped it, and "application" before the program: so it
// can be told that the shell was replaced. Commands and program get neither that descriptor nor 3, which is used meanwhile
// (under bash, what the commands start has the record open as 63).
std::string start_script(const std::vector<std::string>& commands,
                         PreludeFailure failure = PreludeFailure::warn, int record_fd = -1);

// A word for a POSIX shell, of any bytes; bytes that are no UTF-8 become octal escapes of printf.
std::string shell_word(const std::string& word);

// What the shell calls itself in its messages ($0), and what it prints where the record cannot be written.
inline constexpr const char* k_guest_shell_name = "appimage-orch";
inline constexpr const char* k_no_record = "appimage-orch: no record";
inline constexpr const char* k_printed_end =
    "appimage-orch: ended ";  // and the status; instead of the record's line

struct GuestCommand {
  std::string directory;           // to start in
  std::vector<std::string> words;  // the program and its arguments
  std::string exports;             // shell text before all
  std::vector<std::string> prelude;
  PreludeFailure prelude_failure = PreludeFailure::warn;
  std::string record;    // file for the guest's record (guest_record.hpp); empty: none
  std::string terminal;  // settings for stty; empty: as they are
  bool plain = true;     // the words are passed as arguments; otherwise they are written into the script
};

// Arguments of a shell that goes to the directory, runs `exports` and the prelude, and then the words. Where the
// directory cannot be entered it says so and ends with 125. Without a record it becomes the program; with one it stays
// as its parent, and ends with its status, or 128+N.
std::vector<std::string> guest_script(const GuestCommand& command);

}  // namespace orch::launch
