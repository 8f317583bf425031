#include "evidence/last_words.hpp"

#include "base/exit_status.hpp"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <bitset>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <ctime>

namespace orch::evidence {

namespace {

constexpr std::array k_signals = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

struct Prepared {
  pid_t process = 0;
  int fd = -1;
  std::string from, to, message;
  std::array<std::string, k_signals.size()> documents;
  std::array<std::size_t, k_signals.size()> ended_at{};
  std::bitset<64> ignored;  // from the beginning
};
Prepared g_prepared;                     // NOLINT: a handler has no other place to look at
bool g_armed = false;                    // NOLINT
bool g_note_builds = false;              // NOLINT
bool g_note = false;                     // NOLINT
volatile std::sig_atomic_t g_noted = 0;  // NOLINT: the first of those that NotedSignals took

void note_signal(int signal) {
  if (g_noted == 0) g_noted = signal;
}

void put(char* at, std::int64_t number, int digits) {
  constexpr int k_ten = 10;
  for (int i = digits - 1; i >= 0; --i, number /= k_ten) at[i] = static_cast<char>('0' + number % k_ten);
}

// gmtime_r and snprintf are not async-signal-safe. The day's date by Howard Hinnant's civil_from_days
// (howardhinnant.github.io/date_algorithms.html).
void put_now(char* at) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  constexpr std::int64_t k_day = 86400, k_hour = 3600, k_minute = 60, k_era = 146097;
  const std::int64_t days = now.tv_sec / k_day + 719468;
  const std::int64_t rest = now.tv_sec % k_day;
  const std::int64_t of_era = days % k_era;
  const std::int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  const std::int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t shifted = (5 * of_year + 2) / 153;  // March is 0
  const std::int64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
  put(at, year_of_era + days / k_era * 400 + (month <= 2 ? 1 : 0), 4);
  put(at + 5, month, 2);
  put(at + 8, of_year - (153 * shifted + 2) / 5 + 1, 2);
  put(at + 11, rest / k_hour, 2);
  put(at + 14, rest % k_hour / k_minute, 2);
  put(at + 17, rest % k_minute, 2);
  put(at + 20, now.tv_nsec / 1'000'000, 3);
}

bool write_whole(int fd, const char* bytes, std::size_t size) {
  while (size > 0) {
    const ssize_t got = ::write(fd, bytes, size);
    if (got <= 0) return false;
    bytes += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

// Not if another run has taken the directory over.
bool is_own_file() {
  struct stat open {};
  struct stat named {};
  return ::fstat(g_prepared.fd, &open) == 0 && ::lstat(g_prepared.from.c_str(), &named) == 0 &&
         open.st_dev == named.st_dev && open.st_ino == named.st_ino;
}

// Where nobody takes it at once it is not said.
void say_message() {
  pollfd out{STDERR_FILENO, POLLOUT, 0};
  if (::poll(&out, 1, 0) == 1 && (out.revents & POLLOUT) != 0)
    write_whole(STDERR_FILENO, g_prepared.message.data(), g_prepared.message.size());
}

void say_and_end(int signal) {
  if (::getpid() != g_prepared.process)
    ::_exit(base::k_signal_base + signal);  // a child that is not its own program yet
  for (std::size_t i = 0; i < k_signals.size(); ++i) {
    if (k_signals[i] != signal) continue;
    if (!is_own_file()) continue;
    std::string& text = g_prepared.documents[i];
    if (g_prepared.ended_at[i] != std::string::npos) put_now(text.data() + g_prepared.ended_at[i]);
    if (::lseek(g_prepared.fd, 0, SEEK_SET) == 0 && write_whole(g_prepared.fd, text.data(), text.size()) &&
        ::ftruncate(g_prepared.fd, static_cast<off_t>(text.size())) == 0)
      ::rename(g_prepared.from.c_str(), g_prepared.to.c_str());
  }
  say_message();
  ::_exit(base::k_signal_base + signal);
}

void set_handler(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  // One at a time: a second signal must not find the first one's half-written report.
  for (const int other : k_signals) ::sigaddset(&action.sa_mask, other);
  ::sigaction(signal, &action, nullptr);
}

bool is_ignored(int signal) {
  struct sigaction now {};
  return ::sigaction(signal, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

}  // namespace

HeldSignals::HeldSignals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : k_signals) ::sigaddset(&set, signal);
  ::pthread_sigmask(SIG_BLOCK, &set, &before_);
}

HeldSignals::~HeldSignals() {
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void prepare_last_words(const LastWords& words) {
  if (g_note_builds) return;
  const HeldSignals held;
  g_prepared = {::getpid(), words.fd, words.from, words.to, words.message, {}, {}, g_prepared.ignored};
  for (std::size_t i = 0; i < k_signals.size(); ++i) {
    g_prepared.documents[i] = words.document(k_signals[i]);
    g_prepared.ended_at[i] = g_prepared.documents[i].find(k_ended_mark);
    if (is_ignored(k_signals[i]))
      g_prepared.ignored.set(static_cast<std::size_t>(k_signals[i]));
    else
      set_handler(k_signals[i], say_and_end);
  }
  g_armed = true;
}

void forget_last_words() {
  if (!g_armed) return;
  g_armed = false;
  for (const int signal : k_signals) set_handler(signal, g_note ? note_signal : SIG_IGN);
}

void let_signals_end() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : k_signals) {
    if (g_prepared.ignored.test(static_cast<std::size_t>(signal))) continue;
    if (!g_note) set_handler(signal, SIG_IGN);  // drops what waits
    set_handler(signal, g_note ? note_signal : SIG_DFL);
    ::sigaddset(&set, signal);
  }
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

NotedSignals::NotedSignals(When when) {
  g_note = true;
  g_note_builds = when == When::builds;
  g_noted = 0;
  for (const int signal : k_signals) {
    if (is_ignored(signal))
      g_prepared.ignored.set(static_cast<std::size_t>(signal));
    else
      set_handler(signal, note_signal);
  }
}

NotedSignals::~NotedSignals() {
  g_note = g_note_builds = false;
  g_noted = 0;
  let_signals_end();
}

int noted_signal() {
  return g_noted;
}

}  // namespace orch::evidence
