#include "sys/signals.hpp"

#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

namespace orch::sys {

namespace {

constexpr std::array k_handled = {SIGINT,  SIGTERM,  SIGHUP,  SIGQUIT, SIGTSTP, SIGCONT,
                                  SIGCHLD, SIGWINCH, SIGPIPE, SIGTTIN, SIGTTOU};

sigset_t handled_set() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : k_handled) ::sigaddset(&set, number);
  return set;
}

}  // namespace

bool is_request_to_end(int number) {
  return number == SIGINT || number == SIGTERM || number == SIGHUP || number == SIGQUIT;
}

Result<SignalSession> SignalSession::begin() {
  // A parent that ignores SIGCHLD would make children vanish without a status.
  struct sigaction normal {};
  normal.sa_handler = SIG_DFL;
  ::sigaction(SIGCHLD, &normal, nullptr);
  const sigset_t set = handled_set();
  Fd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return base::fail(base::errno_error(errno, "make", "a signal descriptor"));
  sigset_t before;
  if (::pthread_sigmask(SIG_BLOCK, &set, &before) != 0)
    return base::fail(base::errno_error(errno, "block", "signals"));
  return SignalSession(std::move(fd), before);
}

SignalSession::SignalSession(SignalSession&& other) noexcept
    : fd_(std::move(other.fd_)), before_(other.before_), end_requested_(other.end_requested_) {}

SignalSession::~SignalSession() {
  if (!fd_) return;
  while (next()) {
  }
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

std::optional<int> SignalSession::next() {
  signalfd_siginfo info{};
  ssize_t got = 0;
  do {
    got = ::read(fd_.get(), &info, sizeof info);
  } while (got < 0 && errno == EINTR);
  if (got != static_cast<ssize_t>(sizeof info)) return std::nullopt;
  const int number = static_cast<int>(info.ssi_signo);
  if (end_requested_ == 0 && is_request_to_end(number)) end_requested_ = number;
  return number;
}

void reset_signals_in_child() {
  struct sigaction normal {};
  normal.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) ::sigaction(number, &normal, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

}  // namespace orch::sys
