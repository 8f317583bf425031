#include "sys/pty.hpp"

#include "support/temp_dir.hpp"
#include "sys/file.hpp"
#include "sys/terminal.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>

using namespace orch::sys;

namespace {

struct Ran {
  PtyEnd end;
  std::string captured;
};

// Runs `script` by /bin/sh on a pseudo-terminal; the output is shown nowhere, unless the options name a place.
Ran run(const std::string& script, PtyRun options = {}) {
  Ran out;
  auto signals = SignalSession::begin();
  REQUIRE(signals);
  const Fd input(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const Fd output(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  if (options.input == 0) options.input = input.get();
  if (options.output == 1) options.output = output.get();
  options.capture = [&out](std::string_view bytes) { out.captured.append(bytes); };
  options.child = [&script] {
    ::execl("/bin/sh", "sh", "-c", script.c_str(), static_cast<char*>(nullptr));
    return 127;
  };
  auto end = run_on_pty(options, *signals);
  REQUIRE(end);
  out.end = std::move(*end);
  return out;
}

Fd pipe_with(const std::string& text) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  REQUIRE(write_all(ends[1], text, "pipe"));
  ::close(ends[1]);
  return Fd(ends[0]);
}

}  // namespace

TEST_CASE(
    "a child on a terminal: its status, its output to the last byte, no carriage returns where none is "
    "shown") {
  const Ran ran = run("test -t 1 && test -t 2 && printf 'one\\ntwo'; exit 3");
  CHECK(ran.end.status == 3);
  CHECK(ran.end.signal == 0);
  CHECK(ran.captured == "one\ntwo");
}

TEST_CASE("the last bytes of a fast exit are never lost") {
  for (int i = 0; i < 50; ++i) REQUIRE(run("printf last").captured == "last");
}

TEST_CASE("much output arrives completely") {
  const Ran ran = run("i=0; while [ $i -lt 20000 ]; do echo 0123456789abcdef; i=$((i+1)); done");
  CHECK(ran.captured.size() == 20000 * 17);
}

TEST_CASE("what is shown is what is captured, in a file and in a pipe that is read late") {
  const orch::test::TempDir dir;
  const std::string script =
      "i=0; while [ $i -lt 9000 ]; do echo \"$i some words to fill the line\"; i=$((i+1)); done";
  for (const bool late : {false, true}) {
    CAPTURE(late);
    Fd file(::open((dir / "shown").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    PtyRun options;
    options.output = file.get();
    Fd pipe;
    pid_t reader = 0;
    if (late) {
      std::array<int, 2> ends{};
      REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
      reader = ::fork();
      if (reader == 0) {
        ::usleep(300'000);
        ::dup2(ends[0], 0);
        ::dup2(file.get(), 1);
        ::execl("/bin/cat", "cat", static_cast<char*>(nullptr));
        ::_exit(1);
      }
      ::close(ends[0]);
      pipe.reset(ends[1]);
      options.output = pipe.get();
    }
    const Ran ran = run(script, options);
    pipe.reset();
    if (reader > 0) ::waitpid(reader, nullptr, 0);
    CHECK(ran.captured.size() > 250'000);
    CHECK(read_file(dir / "shown") == ran.captured);
    CHECK_FALSE(ran.end.output_lost);
  }
}

TEST_CASE("a signal that ends the child is told") {
  CHECK(run("kill -SEGV $$").end.signal == SIGSEGV);
}

TEST_CASE("piped input is the child's own, or typed") {
  PtyRun options;
  const Fd direct = pipe_with("a\0b");
  options.input = direct.get();
  CHECK(run("test -t 0 || cat", options).captured == "a");
  const Fd typed = pipe_with("typed");
  options.input = typed.get();
  options.piped_input = PtyRun::Input::terminal;
  CHECK(run("test -t 0 && cat", options).captured == "typed");
}

TEST_CASE("a time limit ends the child, also one that does not listen") {
  PtyRun options;
  options.timeout = std::chrono::milliseconds(50);
  options.grace = std::chrono::milliseconds(50);
  const Ran ran = run("trap '' TERM; while :; do sleep 1; done", options);
  CHECK(ran.end.timed_out);
  CHECK(ran.end.signal == SIGKILL);
}

TEST_CASE("a watch that asks for the end at its first look is heard") {
  PtyRun options;
  options.timeout = std::chrono::seconds(20);
  options.watch = [](const PtyRun::Seen&) {
    PtyRun::Watched out;
    out.end = true;
    return out;
  };
  const Ran ran = run("sleep 1000", options);
  CHECK(ran.end.ended_by_watch);
  CHECK_FALSE(ran.end.timed_out);
}

TEST_CASE("what the child leaves behind is ended, and does not keep the run") {
  const Ran ran = run("(trap '' HUP; setsid sleep 1000 & ) ; echo done");
  CHECK(ran.end.status == 0);
  CHECK(ran.captured == "done\n");
  CHECK(descendants({}).empty());
}

TEST_CASE("a request to end is passed on, and told") {
  const pid_t self = ::getpid();
  PtyRun options;
  options.interrupt_text = "";
  const Ran ran =
      run("trap 'echo got; exit 0' INT; kill -INT " + std::to_string(self) + "; while :; do sleep 0.01; done",
          options);
  CHECK(ran.end.interrupted == SIGINT);
  CHECK(ran.captured == "got\n");
}

TEST_CASE("the terminal is 80x24 where there is none to copy") {
  CHECK(run("stty size <&1").captured == "24 80\n");
}

TEST_CASE("raw settings end with their object") {
  int master = -1;
  int slave = -1;
  REQUIRE(::openpty(&master, &slave, nullptr, nullptr, nullptr) == 0);
  termios before{};
  termios during{};
  termios after{};
  ::tcgetattr(slave, &before);
  {
    const RawTerminal raw(slave);
    CHECK(raw.active());
    ::tcgetattr(slave, &during);
  }
  ::tcgetattr(slave, &after);
  CHECK((before.c_lflag & ICANON) != 0);
  CHECK((during.c_lflag & ICANON) == 0);
  CHECK((after.c_lflag & ICANON) != 0);
  ::close(master);
  ::close(slave);
}
