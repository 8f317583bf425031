#include "launch/guest_script.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

namespace orch::launch {

namespace {

// The record is opened for reading and writing and not cut: its blocks were reserved beforehand, so a full disk does not
// matter. `command exec`, because a redirection of plain `exec` that fails ends a POSIX shell.
constexpr const char* k_open_record =
    "read -r orch_x 2>/dev/null <\"$1\"\n[ \"$orch_x\" != cancelled ] || exit 125\n"
    "command exec 4<>\"$1\" || {\n  echo \"appimage-orch: no record\" >&2\n  exec 4>/dev/null\n}\nshift\n"
    "read -r orch_x orch_x orch_x orch_x orch_group orch_x </proc/$$/stat\n"
    "echo \"started $$ $orch_group\" >&4\n";

// A shell says which signal ended its child on its own standard error, and nothing of a child that exits with 128+N: so
// while the program runs that stream is the record. The program is started from a subshell that has the real one again: dash
// prints such a message where a redirection of the command itself leads, and a further shell could print warnings of its
// own. Signals that a terminal sends to all are not the outer shell's business; a trap, unlike an ignored signal, is not
// inherited. A prelude may have left `set -e`.
constexpr const char* k_run_recorded =
    "set +e +u +x\n"
    "unset orch_x orch_group\n"
    "trap : INT QUIT HUP TERM\n"
    "exec 3>&2 2>&4\n"
    "(\n  exec 2>&3 3>&- 4>&-\n  exec \"$@\"\n)\n"
    "orch_status=$?\n"
    "echo \"ended $orch_status\" >&4\n"
    "exit $orch_status\n";

}  // namespace

std::string prelude_script(const std::vector<std::string>& commands, PreludeFailure failure, int record_fd) {
  if (commands.empty()) return {};
  const bool recorded = record_fd >= 0;
  std::string out;
  if (recorded) out = fmt::format("trap 'echo \"pre $?\" >&{}' EXIT\n", record_fd);
  for (const std::string& command : commands) {
    // `command eval` and not `eval`: a syntax error in the latter ends a POSIX shell.
    out += fmt::format("command eval {}", base::shell_quote(command));
    if (recorded) out += fmt::format(" {}>&-", record_fd);
    if (failure == PreludeFailure::warn) {
      out += " || echo \"appimage-orch: guest-pre ended with status $?\" >&2\n";
      continue;
    }
    out += " || {\n  orch_status=$?\n";
    out +=
        "  echo \"appimage-orch: guest-pre ended with status $orch_status: the application is not started\" "
        ">&2\n";
    out += recorded ? "  exit $orch_status\n}\n" : "  exit 125\n}\n";
  }
  if (recorded) out += "trap - EXIT\n";
  return out;
}

std::string shell_word(const std::string& word) {
  if (base::is_utf8(word)) return base::shell_quote(word);
  // $(…) drops newlines at the end, so those stand behind it.
  const std::size_t body = word.find_last_not_of('\n') + 1;
  std::string octal;
  for (const char byte : word.substr(0, body))
    octal += fmt::format("\\{:03o}", static_cast<unsigned char>(byte));
  const std::string newlines = word.substr(body);
  return fmt::format("\"$(printf '{}')\"{}", octal, newlines.empty() ? "" : "'" + newlines + "'");
}

std::vector<std::string> guest_script(const GuestCommand& command) {
  const bool recorded = !command.record.empty();
  std::vector<std::string> words;
  if (recorded) words.push_back(command.record);
  words.push_back(command.directory);
  words.insert(words.end(), command.words.begin(), command.words.end());

  std::string script;
  if (!command.plain) {
    script = "set --";
    for (const std::string& word : words) script += " " + shell_word(word);
    script += "\n";
  }
  // Before the record says that the guest has begun: what is typed then must find the terminal as it is to be.
  if (!command.terminal.empty()) script += fmt::format("stty {} 2>/dev/null\n", command.terminal);
  if (recorded) script += k_open_record;
  script +=
      fmt::format("cd -- \"$1\" || {}\nshift\n", recorded ? "{ echo directory >&4; exit 125; }" : "exit 125");
  script += command.exports + prelude_script(command.prelude, command.prelude_failure, recorded ? 4 : -1);
  script += recorded ? k_run_recorded : "exec \"$@\"\n";

  std::vector<std::string> out = {"-c", script, k_guest_shell_name};
  if (command.plain) out.insert(out.end(), words.begin(), words.end());
  return out;
}

}  // namespace orch::launch
