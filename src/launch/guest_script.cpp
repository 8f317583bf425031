#include "launch/guest_script.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

namespace orch::launch {

namespace {

// The record is opened for reading and writing and not cut: its blocks were reserved beforehand, so that most file systems
// take it even when they are full. `command exec`, because a redirection of plain `exec` that fails ends a POSIX shell.
constexpr const char* k_open_record =
    "[ ! -e \"$1.cancelled\" ] || exit 125\n"
    "command exec 4<>\"$1\" || {\n  echo \"appimage-orch: no record\" >&2\n  exec 4>/dev/null\n}\nshift\n"
    "read -r orch_x orch_x orch_x orch_x orch_group orch_x </proc/$$/stat\n"
    "echo \"started $$ $orch_group\" >&4\n";

// A shell says which signal ended its child on its own standard error, and nothing of a child that exits with 128+N: so
// while the program runs that stream is the record. The program is started from a subshell that has the real one again: dash
// prints such a message where a redirection of the command itself leads, and a further shell could print warnings of its
// own. A function, because bash prints the text of the subshell with the message. What a prelude does to its shell happens in the
// subshell, too. Signals that a terminal sends to all are not the outer shell's business; a trap, unlike an ignored signal, is
// not inherited.
constexpr const char* k_run_recorded =
    "trap : INT QUIT HUP TERM\n"
    "exec 3>&2 2>&4\n"
    "( orch_run \"$@\" )\n"
    "orch_status=$?\n"
    "echo \"ended $orch_status\" >&4 || echo \"appimage-orch: ended $orch_status\" >&3\n"
    "exit $orch_status\n";

// In front of the commands. A function that ends by `exit` has other positional parameters than the shell (bash runs the
// trap in the function), so the words become variables. Signals: bash runs the trap of EXIT where one ends it.
constexpr const char* k_keep_words =
    "orch_count=0\n"
    "orch_words=\n"
    "for orch_word do\n"
    "  orch_count=$((orch_count + 1))\n"
    "  eval \"orch_word_$orch_count=\\$orch_word\"\n"
    "  orch_words=\"$orch_words \\\"\\$orch_word_$orch_count\\\"\"\n"
    "done\n"
    "unset orch_word\n"
    "trap '\\trap - EXIT; exit 129' HUP\n"
    "trap '\\trap - EXIT; exit 130' INT\n"
    "trap '\\trap - EXIT; exit 143' TERM\n"
    "exec 3>&2\n";

// Where a command calls `exit` bash does not undo the redirections of `command eval`: there the record is kept under a number
// that only bash can say. What a command started may have it open until it ends.
std::string keep_record(int fd) {
  return fmt::format(
      "orch_kept=\n"
      "(eval 'exec 63>&{0}') 2>/dev/null && eval 'exec 63>&{0}' && orch_kept=yes\n"
      "orch_record() {{\n"
      "  [ -z \"$orch_kept\" ] || eval '\\exec {0}>&63 63>&-'\n"
      "  echo \"$1\" >&{0} || :\n"
      "}}\n"
      "echo prelude >&{0}\n",
      fd);
}

// A command may have closed standard error, on which the shell says why it cannot start the program, and may have made an alias
// of what is read from then on.
constexpr const char* k_start =
    "orch_start() {\n"
    "  { set +e +u +x; } 2>/dev/null\n"
    "  trap - EXIT\n"
    "  eval \"\\set -- $orch_words\"\n"
    "  unset orch_pid orch_x orch_result\n"
    "  true 5>&2 || command exec 2>&3 || command exec 2>/dev/tty || command exec 2>/dev/null\n";

// A trap on EXIT that a command sets would take the place of the one that starts the program, so the latter is set again; in a
// subshell of the command's own it must not be. POSIX has no function of that name, so an alias leads there: what the commands
// are is read when they run. `$$` is the outermost shell's in each subshell, /proc/self is whoever opens it.
constexpr const char* k_keep_trap =
    "orch_self() {\n"
    "  orch_pid=\n"
    "  { IFS=' ' read -r orch_pid orch_x </proc/self/stat; } 2>/dev/null || :\n"
    "}\n"
    "orch_self\n"
    "orch_shell=$orch_pid\n"
    "orch_trap() {\n"
    "  orch_result=0\n"
    "  \\trap \"$@\" || orch_result=$?\n"
    "  orch_self\n"
    "  [ -n \"$orch_pid\" ] && [ \"$orch_pid\" = \"$orch_shell\" ] || return \"$orch_result\"\n"
    "  \\trap 'orch_exit $?' EXIT\n"
    "  [ \"${1--}\" != - ] || return \"$orch_result\"\n"
    "  for orch_x do\n"
    "    case $orch_x in EXIT|0) echo 'appimage-orch: guest-pre: a trap on EXIT is not kept' >&2;; esac\n"
    "  done\n"
    "  return \"$orch_result\"\n"
    "}\n";

std::string trap_text(PreludeFailure failure, bool recorded) {
  if (failure == PreludeFailure::warn)
    return "orch_exit() {\n"
           "  echo \"appimage-orch: guest-pre called exit with status $1: the commands after it do not run\" "
           ">&2\n"
           "  orch_start\n"
           "}\n";
  return fmt::format(
      "orch_exit() {{\n{}"
      "  echo \"appimage-orch: guest-pre ended with status $1: the application is not started\" >&2\n"
      "  exit 125\n"
      "}}\n",
      recorded ? "  orch_record \"pre $1\"\n" : "");
}

}  // namespace

std::string start_script(const std::vector<std::string>& commands, PreludeFailure failure, int record_fd) {
  const bool recorded = record_fd >= 0;
  const std::string close = recorded ? fmt::format("3>&- {}>&-", record_fd) : "3>&-";
  if (commands.empty()) return recorded ? fmt::format("exec {}\nexec \"$@\"\n", close) : "exec \"$@\"\n";
  std::string out = k_keep_words;
  if (recorded) out += keep_record(record_fd);
  out += k_start;
  if (recorded) out += "  orch_record application\n";
  out += fmt::format("  exec {}\n  exec \"$@\"\n}}\n", close) + trap_text(failure, recorded) + k_keep_trap;
  for (const std::string& command : commands) {
    // `command eval` and not `eval`: a syntax error in the latter ends a POSIX shell. A command may have set a trap, too.
    out += fmt::format(
        "alias trap=orch_trap 2>/dev/null || :\n\\trap 'orch_exit $?' EXIT\norch_pre() {{ command eval {} "
        "{}; }}\norch_pre || ",
        base::shell_quote(command), close);
    out += failure == PreludeFailure::warn ? "echo \"appimage-orch: guest-pre ended with status $?\" >&3\n"
                                           : "exit \"$?\"\n";
  }
  return out + "orch_start\n";
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
  if (recorded) script += "unset orch_x orch_group\n";
  script += command.exports;
  const std::string start = start_script(command.prelude, command.prelude_failure, recorded ? 4 : -1);
  script += recorded ? fmt::format("orch_run() {{\nexec 2>&3\n{}}}\n", start) + k_run_recorded : start;

  std::vector<std::string> out = {"-c", script, k_guest_shell_name};
  if (command.plain) out.insert(out.end(), words.begin(), words.end());
  return out;
}

}  // namespace orch::launch
