#include "sys/terminal.hpp"

#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cstddef>

namespace orch::sys {

namespace {

constexpr std::array k_fatal = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

// What a handler needs to restore the terminal of a crashing tool; written only while no handler is
// installed.
struct Saved {
  int fd = -1;
  termios settings{};
  std::array<struct sigaction, k_fatal.size()> before{};
};
Saved g_saved;  // NOLINT: a signal handler has no other place to look at

void restore_and_die(int number) {
  ::tcsetattr(g_saved.fd, TCSANOW, &g_saved.settings);
  for (std::size_t i = 0; i < k_fatal.size(); ++i) ::sigaction(k_fatal[i], &g_saved.before[i], nullptr);
  ::raise(number);
}

}  // namespace

RawTerminal::RawTerminal(int fd) : fd_(fd) {
  if (g_saved.fd >= 0 || ::tcgetattr(fd, &g_saved.settings) != 0) return;
  termios raw = g_saved.settings;
  ::cfmakeraw(&raw);
  g_saved.fd = fd;
  struct sigaction action {};
  action.sa_handler = restore_and_die;
  action.sa_flags = SA_NODEFER;
  for (std::size_t i = 0; i < k_fatal.size(); ++i) ::sigaction(k_fatal[i], &action, &g_saved.before[i]);
  active_ = true;
  ::tcsetattr(fd, TCSANOW, &raw);
}

void RawTerminal::renew() const {
  if (!active_) return;
  termios raw = g_saved.settings;
  ::cfmakeraw(&raw);
  ::tcsetattr(fd_, TCSANOW, &raw);
}

RawTerminal::~RawTerminal() {
  if (!active_) return;
  ::tcsetattr(fd_, TCSANOW, &g_saved.settings);
  for (std::size_t i = 0; i < k_fatal.size(); ++i) ::sigaction(k_fatal[i], &g_saved.before[i], nullptr);
  g_saved.fd = -1;
}

bool in_foreground(int terminal) {
  const pid_t group = ::tcgetpgrp(terminal);
  return group < 0 || group == ::getpgrp();
}

WindowSize user_window(const std::vector<int>& descriptors) {
  for (const int fd : descriptors) {
    winsize size{};
    if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
      return {size.ws_col, size.ws_row};
  }
  return {};
}

}  // namespace orch::sys
