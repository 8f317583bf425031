// Children: how they end, what they get, and that they end with their parent.
#include "sys/process.hpp"

#include "support/temp_dir.hpp"
#include "sys/file.hpp"

#include <doctest/doctest.h>

#include <signal.h>

using namespace orch;
using sys::Command;

namespace {

Command shell(const std::string& script) {
  Command command;
  command.argv = {"/bin/sh", "-c", script};
  return command;
}

}  // namespace

TEST_SUITE("process") {
  TEST_CASE("status, signal and both outputs") {
    sys::SystemProcessRunner runner;
    auto ended = runner.run(shell("echo out; echo err >&2; exit 3"));
    REQUIRE(ended);
    CHECK(ended->status == 3);
    CHECK(ended->output == "out\n");
    CHECK(ended->errors == "err\n");
    CHECK(ended->describe() == "exited with status 3");
    ended = runner.run(shell("kill -9 $$"));
    REQUIRE(ended);
    CHECK(ended->signal == SIGKILL);
    CHECK(ended->describe() == "was ended by signal 9 (SIGKILL)");
  }

  TEST_CASE("large outputs on both streams do not block each other") {
    sys::SystemProcessRunner runner;
    const auto ended = runner.run(shell("head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2"));
    REQUIRE(ended);
    CHECK(ended->output.size() == 1000000);
    CHECK(ended->errors.size() == 1000000);
  }

  TEST_CASE("directory and environment are what was asked for, and nothing else") {
    const test::TempDir temp;
    sys::SystemProcessRunner runner;
    Command command = shell("pwd; echo $X; echo ${HOME-none}");
    command.directory = temp.path();
    command.environment = sys::Environment{{"X", "y z"}, {"PATH", "/usr/bin:/bin"}};
    const auto ended = runner.run(command);
    REQUIRE(ended);
    CHECK(ended->output == temp.path() + "\ny z\nnone\n");
  }

  TEST_CASE("a missing program is an error, a missing directory too") {
    sys::SystemProcessRunner runner;
    Command command;
    command.argv = {"no-such-program-here"};
    const auto missing = runner.run(command);
    REQUIRE_FALSE(missing);
    CHECK(missing.error().what == "the program 'no-such-program-here' was not found");
    command = shell("true");
    command.directory = "/no/such/directory";
    CHECK_FALSE(runner.run(command));
  }

  TEST_CASE("a timeout ends a child that does not listen") {
    sys::SystemProcessRunner runner;
    Command command = shell("trap '' TERM; echo begun; while :; do read x < /dev/zero; done");
    command.timeout = std::chrono::milliseconds(50);
    const auto ended = runner.run(command);
    REQUIRE(ended);
    CHECK(ended->timed_out);
    CHECK(ended->signal == SIGKILL);
    CHECK(ended->output == "begun\n");
  }

  TEST_CASE("a child that is dropped is ended and reaped") {
    sys::SystemProcessRunner runner;
    pid_t pid = 0;
    {
      const auto child = runner.start(shell("while :; do sleep 10; done"));
      REQUIRE(child);
      pid = child->pid();
    }
    CHECK(::kill(pid, 0) != 0);
  }

  TEST_CASE("programs are found along a path") {
    CHECK(sys::find_program("sh", "/no:/bin") == "/bin/sh");
    CHECK_FALSE(sys::find_program("sh", "/no"));
    CHECK(sys::find_program("/bin/sh", "") == "/bin/sh");
    CHECK_FALSE(sys::find_program("/etc/passwd", ""));
    CHECK_FALSE(sys::find_program("", "/bin"));
  }
}
