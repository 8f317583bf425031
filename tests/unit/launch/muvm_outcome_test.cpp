#include "launch/muvm_outcome.hpp"

#include <doctest/doctest.h>

using orch::launch::muvm_outcome;
using orch::launch::MuvmEnd;
using orch::launch::Outcome;
using Kind = Outcome::Kind;

namespace {

struct Row {
  const char* name;
  MuvmEnd end;
  Kind kind;
  int exit_status;
  const char* determined_by;
};

constexpr const char* k_sh = "/bin/sh";

using orch::launch::GuestRecord;
using orch::launch::parse_guest_record;

GuestRecord record(const char* text) {
  return parse_guest_record(text);
}

const Row k_rows[] = {
    {"success, status carried", {"hello\n", k_sh, 0, 0, true, false}, Kind::exited, 0, "muvm status"},
    {"success, old muvm", {"hello\n", k_sh, 0, 0, false, false}, Kind::exited, 0, "no message"},
    {"old muvm always says 1", {"hello\n", k_sh, 1, 0, false, false}, Kind::exited, 0, "no message"},
    {"status 3, new",
     {"\"/bin/sh\" process exited with status code: 3\n", k_sh, 3, 0, true, false},
     Kind::exited,
     3,
     "message"},
    {"status 3, old muvm says 0",
     {"\"/bin/sh\" process exited with status code: 3\n", k_sh, 0, 0, false, false},
     Kind::exited,
     3,
     "message"},
    {"signal",
     {"\"/bin/sh\" process terminated by signal: 11\n", k_sh, 1, 0, true, false},
     Kind::signaled,
     139,
     "message"},
    {"the last message counts",
     {"\"/bin/sh\" process exited with status code: 3\n\"/bin/sh\" process exited with status code: 4\n",
      k_sh, 4, 0, true, false},
     Kind::exited,
     4,
     "message"},
    {"another command's message does not",
     {"\"/bin/ls\" process exited with status code: 3\n", k_sh, 0, 0, true, false},
     Kind::exited,
     0,
     "muvm status"},
    {"nor one in the middle of a line",
     {"he said \"/bin/sh\" process exited with status code: 3\n", k_sh, 0, 0, true, false},
     Kind::exited,
     0,
     "muvm status"},
    {"quotes in the command",
     {"\"/a\\\"b\" process exited with status code: 2\n", "/a\"b", 2, 0, true, false},
     Kind::exited,
     2,
     "message"},
    {"not found",
     {"Failed to execute \"/bin/sh\" as child process: No such file or directory (os error 2)\n", k_sh, 1, 0,
      true, false},
     Kind::launch_failed,
     127,
     "message"},
    {"not executable",
     {"Failed to execute \"/bin/sh\" as child process: Permission denied (os error 13)\n", k_sh, 1, 0, true,
      false},
     Kind::launch_failed,
     126,
     "message"},
    {"muvm killed", {"", k_sh, 0, 9, true, false}, Kind::signaled, 137, "muvm status"},
    {"host error",
     {"Error: Failed to create the microVM\n\nCaused by:\n    Invalid argument (os error 22)\n", k_sh, 1, 0,
      true, false},
     Kind::launch_failed,
     125,
     "muvm status"},
    {"a command's own line 'Error: x' with status 0 is no failure",
     {"Error: x\n", k_sh, 0, 0, true, false},
     Kind::exited,
     0,
     "muvm status"},
    {"no message, but a status", {"", k_sh, 127, 0, true, false}, Kind::exited, 127, "muvm status"},
    {"FEX: wrong file",
     {"Invalid or Unsupported elf file.\n\"/bin/sh\" process exited with status code: 248\n", k_sh, 248, 0,
      true, false},
     Kind::launch_failed,
     126,
     "message"},
    {"FEX: not found",
     {"/x: command not found\n\"/bin/sh\" process exited with status code: 248\n", k_sh, 248, 0, true, false},
     Kind::launch_failed,
     127,
     "message"},
    {"FEX: no root image",
     {"Invalid or Unsupported elf file.\nCurrent RootFS path set to ''\n\"/bin/sh\" process exited with "
      "status code: 248\n",
      k_sh, 248, 0, true, false},
     Kind::launch_failed,
     125,
     "message"},
    {"FEX: no server",
     {"Couldn't execute: FEXServer\n\"/bin/sh\" process exited with status code: 255\n", k_sh, 255, 0, true,
      false},
     Kind::launch_failed,
     125,
     "message"},
    {"248 of an application's own",
     {"\"/bin/sh\" process exited with status code: 248\n", k_sh, 248, 0, true, false},
     Kind::exited,
     248,
     "message"},
    {"record: success",
     {"", k_sh, 0, 0, true, false, record("started 5 5\nended 0\n")},
     Kind::exited,
     0,
     "guest record"},
    {"record: status, whatever an old muvm says",
     {"", k_sh, 0, 0, false, false, record("started 5 5\nended 3\n")},
     Kind::exited,
     3,
     "guest record"},
    {"record: a signal",
     {"", k_sh, 139, 0, true, false, record("started 5 5\nSegmentation fault\nended 139\n")},
     Kind::signaled,
     139,
     "guest record"},
    {"record: an exit with 139 is no signal",
     {"", k_sh, 139, 0, true, false, record("started 5 5\nended 139\n")},
     Kind::exited,
     139,
     "guest record"},
    {"record: ended, and then muvm was killed",
     {"", k_sh, 0, 9, true, false, record("started 5 5\nended 3\n")},
     Kind::exited,
     3,
     "guest record"},
    {"record: not found, as the shell says",
     {"appimage-orch: 1: exec: /a/AppRun: not found\n", k_sh, 127, 0, true, false,
      record("started 5 5\nended 127\n"), "/a/AppRun"},
     Kind::launch_failed,
     127,
     "guest record"},
    {"record: not found, as bash says in a function",
     {"environment: line 17: /a/AppRun: No such file or directory\n", k_sh, 127, 0, true, false,
      record("started 5 5\nended 127\n"), "/a/AppRun"},
     Kind::launch_failed,
     127,
     "guest record"},
    {"record: what the shell said of something else is not that",
     {"appimage-orch: 12: cd: can't cd to /no/where\n", k_sh, 127, 0, true, false,
      record("started 5 5\nended 127\n"), "/a/AppRun"},
     Kind::exited,
     127,
     "guest record"},
    {"record: a 127 of the application's own",
     {"foo: not found\n", k_sh, 127, 0, true, false, record("started 5 5\nended 127\n")},
     Kind::exited,
     127,
     "guest record"},
    {"record: FEX refuses",
     {"Invalid or Unsupported elf file.\n", k_sh, 0, 0, false, true, record("started 5 5\nended 248\n")},
     Kind::launch_failed,
     126,
     "guest record"},
    {"record: no directory",
     {"", k_sh, 125, 0, true, false, record("started 5 5\ndirectory\n")},
     Kind::launch_failed,
     125,
     "guest record"},
    {"record: the prelude stopped it",
     {"", k_sh, 125, 0, true, false, record("started 5 5\npre 2\n")},
     Kind::launch_failed,
     125,
     "guest record"},
    {"record: muvm killed while it ran",
     {"", k_sh, 0, 9, true, false, record("started 5 5\n")},
     Kind::signaled,
     137,
     "muvm status"},
    {"record: the VM ended under a joined command",
     {"Error: could not request launch to server: reset\n", k_sh, 1, 0, true, true, record("started 5 5\n")},
     Kind::launch_failed,
     125,
     "vm ended"},
    {"record: never started, muvm says why",
     {"Error: Failed to create the microVM\n", k_sh, 1, 0, true, false, record("\n\n")},
     Kind::launch_failed,
     125,
     "muvm status"},
    {"record: never started, and muvm claims success",
     {"Usage: muvm\n", k_sh, 0, 0, true, false, record("\n\n")},
     Kind::launch_failed,
     125,
     "muvm status"},
    {"record: a message of muvm in the output is not believed",
     {"\"/bin/sh\" process exited with status code: 7\n", k_sh, 0, 0, true, false,
      record("started 5 5\nended 0\n")},
     Kind::exited,
     0,
     "guest record"},
    {"record: the shell of the prelude was replaced",
     {"", k_sh, 0, 0, true, false, record("started 5 5\nprelude\nended 0\n")},
     Kind::launch_failed,
     125,
     "guest record"},
    {"record: the application came after the prelude",
     {"", k_sh, 0, 0, true, false, record("started 5 5\nprelude\napplication\nended 2\n")},
     Kind::exited,
     2,
     "guest record"},
    {"record: it could not be written to its end",
     {"appimage-orch: ended 0\n", k_sh, 0, 0, true, false, record("started 5 5\n")},
     Kind::exited,
     0,
     "message"},
    {"record: a VM that panics ends muvm with 0",
     {"", k_sh, 0, 0, true, false, record("started 5 5\n")},
     Kind::launch_failed,
     125,
     "vm ended"},
    {"record: nor where it ended with a status",
     {"\"/bin/sh\" process exited with status code: 3\n", k_sh, 3, 0, true, false, record("started 5 5\n")},
     Kind::exited,
     3,
     "message"},
    {"record: a status without a message is the VM's",
     {"", k_sh, 1, 0, true, false, record("started 5 5\n")},
     Kind::launch_failed,
     125,
     "vm ended"},
    {"record: before 0.5 a status of 0 says nothing",
     {"", k_sh, 0, 0, false, false, record("started 5 5\n")},
     Kind::launch_failed,
     125,
     "vm ended"},
    {"record: the VM was lost, and another command had ended",
     {"\"/bin/sh\" process exited with status code: 3\n", k_sh, 1, 0, true, false, record("started 5 5\n")},
     Kind::launch_failed,
     125,
     "vm ended"},
    {"a joined command ended with another status",
     {"\"/bin/sh\" process exited with status code: 3\n", k_sh, 0, 0, true, false},
     Kind::exited,
     0,
     "muvm status"},
    {"a joined command ended after this one",
     {"\"/bin/sh\" process exited with status code: 4\n\"/bin/sh\" process exited with status code: 3\n",
      k_sh, 4, 0, true, false},
     Kind::exited,
     4,
     "message"},
    {"a joined command was ended by a signal",
     {"\"/bin/sh\" process terminated by signal: 9\n", k_sh, 2, 0, true, false},
     Kind::exited,
     2,
     "muvm status"},
    {"a muvm that joined prints no message of its own",
     {"\"/bin/sh\" process exited with status code: 3\n", k_sh, 0, 0, true, true},
     Kind::exited,
     0,
     "muvm status"},
    {"joined a VM of an old muvm: 1 is the command's",
     {"", k_sh, 1, 0, false, true},
     Kind::exited,
     1,
     "muvm status"},
    {"FEX: could not be mapped",
     {"Failed to map 64-bit elf file.\n", k_sh, 248, 0, true, false, record("started 5 5\nended 248\n")},
     Kind::launch_failed,
     126,
     "guest record"},
    {"FEX: not found, and others are waited for",
     {"/x y: command not found\n\n\"/bin/sh\" process exited with status code: 248\nWaiting for 1 other "
      "commands launched "
      "through this muvm server to exit...\nPress Ctrl+C to force quit\n",
      k_sh, 248, 0, true, false, record("started 5 5\nended 248\n")},
     Kind::launch_failed,
     127,
     "guest record"},
    {"FEX: not found, and noise behind it",
     {"/x: command not found\nptrace::attach(12, ...) failed (continuing)\n"
      "Failed to set the new pressure in the guest: could not connect to muvm server: Connection reset by "
      "peer (os error 104)\n"
      "[2026-05-14T10:00:00Z INFO  rutabaga_gfx::cross_domain] Futex dropped without shutdown\n",
      k_sh, 248, 0, true, false, record("started 5 5\nended 248\n")},
     Kind::launch_failed,
     127,
     "guest record"},
    {"248 after a program's words about another one",
     {"optional tool: foo: command not found\n", k_sh, 248, 0, true, false,
      record("started 5 5\nended 248\n")},
     Kind::exited,
     248,
     "guest record"},
    {"248 some time after the like of FEX's words",
     {"foo: command not found\ndone\n", k_sh, 248, 0, true, false, record("started 5 5\nended 248\n")},
     Kind::exited,
     248,
     "guest record"},
    {"joined a VM", {"", k_sh, 7, 0, false, true}, Kind::exited, 7, "muvm status"},
};

}  // namespace

TEST_CASE("the guest's end is read from its record, then from the messages, then from muvm's status") {
  for (const Row& row : k_rows) {
    CAPTURE(row.name);
    const Outcome outcome = muvm_outcome(row.end);
    CHECK(outcome.kind == row.kind);
    CHECK(outcome.exit_status() == row.exit_status);
    CHECK(outcome.determined_by == row.determined_by);
    CHECK(outcome.raw.int_or("status", -1) == row.end.status);
    CHECK(outcome.vm_reused == row.end.reused);
    const bool torn = row.end.guest.started && !row.end.guest.ended && row.end.signal == 0;
    if (torn) CHECK(outcome.warnings.empty() == (outcome.kind != Kind::exited));
  }
}

TEST_CASE("a guest's record is read as far as it goes") {
  const GuestRecord begun = parse_guest_record("started 12 34\nw.sh: line 8: 5 Killed  x\nended 137\n\n\n\n");
  CHECK(begun.pid == 12);
  CHECK(begun.group == 34);
  CHECK(begun.signal() == 9);
  CHECK(begun.message == "w.sh: line 8: 5 Killed  x");
  CHECK_FALSE(parse_guest_record("\n\n").started);
  CHECK_FALSE(parse_guest_record("ended 0\n").ended.has_value());
  CHECK_FALSE(parse_guest_record("started 1\nended\n").ended.has_value());
}

TEST_CASE("muvm's error is told with its causes") {
  const Outcome outcome = muvm_outcome(
      {"noise\nError: outer\n\nCaused by:\n    0: inner\n    1: innermost\nlast\n", k_sh, 1, 0, true, false});
  REQUIRE(outcome.error);
  CHECK(outcome.error->what == "muvm failed: outer: 0: inner: 1: innermost");
}

TEST_CASE("a stack that was not mounted is a warning, whatever the status") {
  const Outcome outcome =
      muvm_outcome({"Failed to mount FEX rootfs, carrying on without. Error: Failed to mount erofs\n", k_sh,
                    0, 0, true, false});
  CHECK(outcome.warnings.size() == 1);
}
