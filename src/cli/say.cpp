#include "cli/say.hpp"

#include <climits>

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

namespace orch::cli {

namespace {

bool g_in_a_hurry = false;  // NOLINT: of the process, as standard error is
bool g_given_up = false;    // NOLINT

bool end_is_asked_for() {
  sigset_t waiting;
  if (::sigpending(&waiting) != 0) return false;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT})
    if (::sigismember(&waiting, signal) == 1) return true;
  return false;
}

// False if nothing will be taken.
bool wait_for_reader() {
  constexpr int k_look_ms = 200;
  constexpr int k_looks = 5;
  for (int looks = 0;; ++looks) {
    pollfd out{STDERR_FILENO, POLLOUT, 0};
    const int ready = ::poll(&out, 1, k_look_ms);
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
    if (end_is_asked_for() || (g_in_a_hurry && looks >= k_looks)) return false;
  }
}

}  // namespace

void hurry() {
  g_in_a_hurry = true;
}

void say(std::string_view text) {
  while (!text.empty() && !g_given_up) {
    g_given_up = !wait_for_reader();
    if (g_given_up) return;
    // What a pipe takes at once when it says that it takes something.
    const ssize_t put = ::write(STDERR_FILENO, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF));
    if (put < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (put <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(put));
  }
}

}  // namespace orch::cli
