#include "evidence/last_words.hpp"

#include "support/temp_dir.hpp"
#include "sys/clock.hpp"
#include "sys/file.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

using namespace orch::evidence;
namespace sys = orch::sys;

namespace {

// In a process of its own: prepares the words, then gets the signal, or does `then`.
int status_of_child(const std::string& folder, const std::function<void()>& then, int ignored = 0) {
  const pid_t child = ::fork();
  if (child == 0) {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT})
      ::signal(signal, ignored == signal ? SIG_IGN : SIG_DFL);
    const sys::Fd file = *sys::open_file(folder + "/reserve", O_WRONLY | O_CREAT);
    (void)sys::write_all(file.get(), std::string(100, 'x'), "reserve");
    prepare_last_words({file.get(), folder + "/reserve", folder + "/report", "",
                        [](int signal) { return std::to_string(signal) + " at " + k_ended_mark + "\n"; }});
    then();
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

}  // namespace

TEST_CASE("a signal outside of a session leaves the prepared report, with the time of the end") {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
    const orch::test::TempDir folder;
    const std::string before = sys::rfc3339(sys::SystemClock().now());
    CHECK(status_of_child(folder.path(), [signal] { ::raise(signal); }) == 128 + signal);
    const std::string after = sys::rfc3339(sys::SystemClock().now());
    const std::string text = *sys::read_file(folder.path() + "/report");
    const std::string head = std::to_string(signal) + " at ";
    REQUIRE(text.size() == head.size() + before.size() + 1);
    CHECK(text.starts_with(head));
    const std::string ended = text.substr(head.size(), before.size());
    CHECK(before <= ended);
    CHECK(ended <= after);
    CHECK_FALSE(sys::exists(folder.path() + "/reserve"));
  }
}

TEST_CASE("forgotten, the signals do nothing; a child that forked meanwhile writes nothing") {
  const orch::test::TempDir folder;
  CHECK(status_of_child(folder.path(), [] {
          forget_last_words();
          for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) ::raise(signal);
        }) == 0);
  CHECK_FALSE(sys::exists(folder.path() + "/report"));
  CHECK(status_of_child(folder.path(), [] {
          const pid_t child = ::fork();
          if (child == 0) ::raise(SIGTERM);
          int status = 0;
          ::waitpid(child, &status, 0);
          ::_exit(WEXITSTATUS(status));
        }) == 128 + SIGTERM);
  CHECK_FALSE(sys::exists(folder.path() + "/report"));
}

TEST_CASE("a signal that was ignored stays so") {
  const orch::test::TempDir folder;
  CHECK(status_of_child(
            folder.path(),
            [] {
              ::raise(SIGHUP);
              let_signals_end();
              ::raise(SIGHUP);
            },
            SIGHUP) == 0);
}

TEST_CASE("once the report is there a signal ends the process, and one that came before is dropped") {
  const orch::test::TempDir folder;
  const auto child = [&folder](bool later) {
    return status_of_child(folder.path(), [later] {
      const pid_t inner = ::fork();
      if (inner == 0) {
        {
          const HeldSignals held;
          forget_last_words();
          ::raise(SIGTERM);
          let_signals_end();
        }
        if (later) ::raise(SIGTERM);
        ::_exit(7);
      }
      int status = 0;
      ::waitpid(inner, &status, 0);
      ::_exit(WIFSIGNALED(status) ? 100 + WTERMSIG(status) : WEXITSTATUS(status));
    });
  };
  CHECK(child(false) == 7);
  CHECK(child(true) == 100 + SIGTERM);
  CHECK_FALSE(sys::exists(folder.path() + "/report"));
}

TEST_CASE("a report is not put over another run's") {
  const orch::test::TempDir folder;
  CHECK(status_of_child(folder.path(), [&folder] {
          REQUIRE(sys::remove_tree(folder.path() + "/reserve"));
          REQUIRE(sys::write_atomic(folder.path() + "/reserve", "another's"));
          ::raise(SIGTERM);
        }) == 128 + SIGTERM);
  CHECK(*sys::read_file(folder.path() + "/reserve") == "another's");
  CHECK_FALSE(sys::exists(folder.path() + "/report"));
}
