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
int status_of_child(const std::string& folder, const std::function<void()>& then) {
  const pid_t child = ::fork();
  if (child == 0) {
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
  ::signal(SIGHUP, SIG_IGN);
  CHECK(status_of_child(folder.path(), [] { ::raise(SIGHUP); }) == 0);
  ::signal(SIGHUP, SIG_DFL);
}
