// What guest_pre commands can do to the application that comes after them, in each shell of this machine.
#include "launch/guest_script.hpp"

#include "base/text.hpp"
#include "launch/guest_record.hpp"
#include "launch/muvm_command.hpp"
#include "launch/muvm_outcome.hpp"
#include "support/temp_dir.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace orch::launch;
using Words = std::vector<std::string>;

namespace {

struct Ran {
  int status = 0;
  std::string output, errors, record;
};

// Those that are installed of what a /bin/sh may be.
std::vector<Words> shells() {
  std::vector<Words> out;
  for (const Words& shell : {Words{"dash"}, Words{"bash", "--posix"}, Words{"busybox", "sh"}})
    if (orch::sys::find_program(shell[0], "/usr/bin:/bin")) out.push_back(shell);
  return out;
}

// The program says what reached it; its descriptors are not to be more than the three.
const Words k_program = {
    "/bin/sh",
    "-c",
    "echo \"$# <$1> <$2> $A $PWD\"; [ ! -e /proc/$$/fd/3 ] || echo 3; [ ! -e /proc/$$/fd/4 ] || "
    "echo 4; [ ! -e /proc/$$/fd/63 ] || echo 63; echo errors >&2",
    "app",
    "a  b\n'\"$x",
    ""};
constexpr const char* k_arrived = "2 <a  b\n'\"$x> <> ";

Ran run(const Words& shell, const Words& commands, PreludeFailure failure, const Words& program = k_program) {
  const orch::test::TempDir folder;
  const std::string text = start_script(commands, failure, 4);
  orch::sys::Command command;
  command.argv = {"/bin/sh", "-c", "exec 4>\"$0\"; cd /; exec \"$@\"", folder / "record"};
  command.argv.insert(command.argv.end(), shell.begin(), shell.end());
  command.argv.insert(command.argv.end(), {"-c", text, "sh"});
  command.argv.insert(command.argv.end(), program.begin(), program.end());
  orch::sys::SystemProcessRunner processes;
  const auto exit = processes.run(command);
  REQUIRE(exit);
  return {exit->signal != 0 ? 128 + exit->signal : exit->status, exit->output, exit->errors,
          *orch::sys::read_file(folder / "record")};
}

}  // namespace

TEST_CASE("a command of the prelude does not keep the application from starting, nor change its words") {
  const std::string harmless[] = {"set -- /bin/echo hijacked",
                                  "shift",
                                  "shift 2; shift 2",
                                  "false",
                                  "if",
                                  "return 3",
                                  "local x=1",
                                  "break; continue",
                                  "set -eufC; false",
                                  "IFS=1aw/",
                                  "exec 2>&-",
                                  "trap 'echo mine' EXIT",
                                  "trap 'echo mine' EXIT; exit 3",
                                  "trap 'echo mine' 0 INT; ${x?gone}",
                                  "trap - EXIT; exit 3",
                                  "IFS=1234567890; f() { trap 'echo mine' EXIT; exit 3; }; f",
                                  "(trap - TERM; exit 3)",
                                  "(trap 'exit 3' EXIT)",
                                  "set -u; trap >/dev/null; trap 'echo mine' EXIT",
                                  "alias exec='echo hijacked' set='echo hijacked'",
                                  "exit 3",
                                  "exit 0",
                                  "set -- /bin/echo hijacked; exit 3",
                                  "exec 2>&-; exit 3",
                                  "set -e; exit 4",
                                  "(exit 5)",
                                  "readonly X=1; X=2",
                                  "${x?gone}",
                                  "exec 3>/dev/null 4>&3; exit 3",
                                  "exec </dev/null",
                                  "orch_pre() { exit 9; }",
                                  "cd /no/where"};
  for (const Words& shell : shells())
    for (const std::string& command : harmless) {
      CAPTURE(shell[0]);
      CAPTURE(command);
      const Ran ran = run(shell, {command}, PreludeFailure::warn);
      CHECK(ran.output == std::string(k_arrived) + " /\n");
      // There bash has lost the stream; a run has a terminal to fall back on.
      if (command != "exec 2>&-; exit 3") CHECK(ran.errors.find("errors\n") != std::string::npos);
      CHECK(ran.record == "prelude\napplication\n");
      CHECK(ran.status == 0);
    }
}

TEST_CASE("what a command of the prelude sets reaches the application, and the commands after it") {
  for (const Words& shell : shells()) {
    CAPTURE(shell[0]);
    const Ran ran =
        run(shell, {"A=b; export A", "cd /usr", "( exit 3 )", "B=$A; exit 4", "A=c"}, PreludeFailure::warn);
    CHECK(ran.output == std::string(k_arrived) + "b /usr\n");
    CHECK(ran.errors.find("guest-pre ended with status 3\n") != std::string::npos);
    CHECK(ran.errors.find("guest-pre called exit with status 4: the commands after it do not run\n") !=
          std::string::npos);
    const Ran missing = run(shell, {"exec 2>&-"}, PreludeFailure::warn, {"/no/where"});
    CHECK(missing.status == 127);
    CHECK(missing.errors.find("/no/where: ") != std::string::npos);
  }
}

TEST_CASE("a trap that a command sets is its own in a subshell, and for signals") {
  for (const Words& shell : shells()) {
    CAPTURE(shell[0]);
    const Ran ran = run(shell,
                        {"(trap 'echo inner' EXIT)", "trap 'echo signal' USR1; kill -USR1 $$; trap - USR1",
                         "trap '' PIPE", "trap 'echo outer' EXIT", "trap no NOSUCH && echo taken"},
                        PreludeFailure::warn);
    CHECK(ran.output == "inner\nsignal\n" + std::string(k_arrived) + " /\n");
    CHECK(ran.record == "prelude\napplication\n");
    CHECK(ran.errors.find("guest-pre ended with status 1\n") != std::string::npos);
    CHECK(ran.errors.find("guest-pre: a trap on EXIT is not kept\n") != std::string::npos);
    const Ran quiet =
        run(shell, {"set -u; trap >/dev/null; trap - EXIT; trap 'true' INT; (trap 'true' EXIT)"},
            PreludeFailure::warn);
    CHECK(quiet.output == std::string(k_arrived) + " /\n");
    CHECK(quiet.errors.find("not kept") == std::string::npos);
  }
}

TEST_CASE("where it is asked to, a command that fails or exits stops the launch") {
  for (const Words& shell : shells())
    for (const char* command :
         {"(exit 3)", "exit 3", "return 3", "exec 2>&-; exit 3", "trap 'echo not this' EXIT; exit 3"}) {
      CAPTURE(shell[0]);
      CAPTURE(command);
      const Ran ran = run(shell, {"true", command, "echo not this"}, PreludeFailure::stop);
      CHECK(ran.output.empty());
      CHECK(ran.record == "prelude\npre 3\n");
      CHECK(ran.status == 125);
    }
}

TEST_CASE("that the shell was replaced or ended can be told from the record") {
  for (const Words& shell : shells())
    for (const char* command : {"exec /bin/true", "set -n", "command trap 'echo mine' EXIT; exit 3",
                                "kill -KILL $$", "kill -TERM $$; sleep 1"}) {
      CAPTURE(shell[0]);
      CAPTURE(command);
      const Ran ran = run(shell, {command}, PreludeFailure::warn);
      CHECK(ran.output.find(k_arrived) == std::string::npos);
      const GuestRecord record = parse_guest_record("started 1 1\n" + ran.record);
      CHECK(record.preparing);
      CHECK_FALSE(record.prelude);
    }
  CHECK_FALSE(parse_guest_record("started 1 1\nprelude\napplication\nended 0\n").preparing);
}

TEST_CASE("what each shell says of a program that it cannot start is understood, and nothing else is") {
  const orch::test::TempDir folder;
  REQUIRE(orch::sys::write_atomic(folder / "script", "#!/no/such/interpreter\n", orch::sys::Sync::no, 0755));
  REQUIRE(orch::sys::write_atomic(folder / "text", "not a program\n", orch::sys::Sync::no, 0644));
  struct Case {
    std::string program;
    Words prelude;
    bool started;
  };
  for (const Words& shell : shells())
    for (const Case& one :
         {Case{"/no/where", {}, false}, Case{folder / "script", {}, false}, Case{folder / "text", {}, false},
          Case{"/usr", {"true"}, false}, Case{"/no/where", {"cd /not/there"}, false},
          Case{"/bin/sh", {"cd /not/there"}, true}}) {
      CAPTURE(shell[0]);
      CAPTURE(one.program);
      GuestCommand guest;
      guest.directory = "/";
      guest.words = {one.program, "-c", "exit 127"};
      guest.prelude = one.prelude;
      guest.record = folder / "record";
      REQUIRE(reserve_guest_record(guest.record));
      orch::sys::Command command;
      command.argv = shell;
      for (const std::string& word : guest_script(guest)) command.argv.push_back(word);
      orch::sys::SystemProcessRunner processes;
      const auto exit = processes.run(command);
      REQUIRE(exit);
      const Outcome outcome = muvm_outcome({exit->errors, k_guest_shell, exit->status, 0, true, false,
                                            read_guest_record(guest.record), one.program});
      CAPTURE(exit->errors);
      CHECK((outcome.kind == Outcome::Kind::exited) == one.started);
      if (!one.started) CHECK(outcome.error->what.find(one.program + ": ") != std::string::npos);
    }
}
