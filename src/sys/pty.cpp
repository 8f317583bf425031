#include "sys/pty.hpp"

#include "sys/fd.hpp"
#include "sys/terminal.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

namespace orch::sys {

using base::errno_error;
using base::fail;

namespace {

using Monotonic = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct Pair {
  Fd master;
  Fd slave;
};

Result<Pair> open_pair() {
  Pair out;
  out.master.reset(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!out.master) return fail(errno_error(errno, "open", "a pseudo-terminal"));
  if (::grantpt(out.master.get()) != 0 || ::unlockpt(out.master.get()) != 0)
    return fail(errno_error(errno, "unlock", "a pseudo-terminal"));
  std::array<char, 64> name{};
  if (::ptsname_r(out.master.get(), name.data(), name.size()) != 0)
    return fail(errno_error(errno, "name", "a pseudo-terminal"));
  out.slave.reset(::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!out.slave) return fail(errno_error(errno, "open", name.data()));
  ::fcntl(out.master.get(), F_SETFL, O_RDWR | O_NONBLOCK);
  return out;
}

enum class Typing {
  raw,    // the user's terminal, raw, byte by byte
  lines,  // whatever standard input gives is typed; no echo
  none,   // the child reads standard input itself
};

Typing typing_of(const PtyRun& run) {
  if (::isatty(run.input) == 1 && ::isatty(run.output) == 1) return Typing::raw;
  return run.piped_input == PtyRun::Input::direct ? Typing::none : Typing::lines;
}

void copy_window(const PtyRun& run, int terminal) {
  const WindowSize user = user_window({run.input, run.output, STDERR_FILENO});
  winsize size{};
  size.ws_row = static_cast<unsigned short>(user.rows);
  size.ws_col = static_cast<unsigned short>(user.columns);
  ::ioctl(terminal, TIOCSWINSZ, &size);
}

void set_up_terminal(const PtyRun& run, Typing typing, int slave) {
  termios settings{};
  if (::tcgetattr(typing == Typing::raw ? run.input : slave, &settings) == 0) {
    if (typing == Typing::lines) settings.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    if (::isatty(run.output) != 1) settings.c_oflag &= ~static_cast<tcflag_t>(OPOST);
    ::tcsetattr(slave, TCSANOW, &settings);
  }
  copy_window(run, slave);
}

// In the child: its standard input where the user's is handed on.
int direct_input(const PtyRun& run) {
  const bool usable = ::fcntl(run.input, F_GETFD) >= 0;
  const bool stolen = usable && ::isatty(run.input) == 1 && !in_foreground(run.input);
  return usable && !stolen ? run.input : ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

[[noreturn]] void child_main(const PtyRun& run, Typing typing, int slave, pid_t parent) {
  const int input = typing == Typing::none ? direct_input(run) : slave;
  reset_signals_in_child();
  ::setsid();
  ::ioctl(slave, TIOCSCTTY, 0);
  // Where `input` is 1 or 2 it must be copied before those are replaced; dup2 onto itself would keep
  // close-on-exec.
  const int first = ::fcntl(input, F_DUPFD, 3);
  ::dup2(first, 0);
  ::dup2(slave, 1);
  ::dup2(slave, 2);
  ::close(first);
  // Descriptors of this tool and of its callers (locks, pipes) are none of the application's business.
  constexpr unsigned k_first_other = 3;
  ::close_range(k_first_other, ~0U, CLOSE_RANGE_CLOEXEC);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  ::_exit(run.child());
}

// A write to a file or to /dev/null waits for nobody, however much it is.
bool never_waits(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return false;
  constexpr unsigned k_memory_devices = 1;
  constexpr unsigned k_null = 3;
  return S_ISREG(info.st_mode) ||
         (S_ISCHR(info.st_mode) && info.st_rdev == makedev(k_memory_devices, k_null));
}

// Bytes on their way to a descriptor.
class Pending {
 public:
  bool empty() const { return begin_ == bytes_.size(); }
  std::size_t size() const { return bytes_.size() - begin_; }
  const char* data() const { return bytes_.data() + begin_; }
  void append(std::string_view bytes) { bytes_.append(bytes); }
  // What is left stays where it is, as long as there is little in front of it.
  void drop(std::size_t count) {
    begin_ += count;
    if (begin_ < size()) return;
    bytes_.erase(0, begin_);
    begin_ = 0;
  }
  void clear() { drop(size()); }

 private:
  std::string bytes_;
  std::size_t begin_ = 0;
};

class Relay {
 public:
  Relay(const PtyRun& run, SignalSession& signals, Typing typing, Pair pair, pid_t child,
        std::set<pid_t> spare)
      : run_(run),
        signals_(signals),
        typing_(typing),
        pair_(std::move(pair)),
        child_(child),
        spare_(std::move(spare)),
        start_(Monotonic::now()),
        piece_(k_buffer, '\0'),
        reading_(typing != Typing::none),
        output_waits_(!never_waits(run.output)) {}

  PtyEnd to_end() {
    if (watch()) end_by_watch();
    while (!ended_) step();
    end_.ended = end_descendants(spare_, k_leftover_grace);
    drain();
    raw_.reset();
    return std::move(end_);
  }

 private:
  static constexpr std::size_t k_piece = 4096;  // what POLLOUT promises for pipes
  static constexpr std::size_t k_buffer = 64 * 1024;
  static constexpr milliseconds k_leftover_grace{500};
  static constexpr milliseconds k_foreground_check{250};
  static constexpr milliseconds k_quiet{100};

  void step() {
    const bool background = is_background();
    std::array<pollfd, 4> polled = {
        pollfd{signals_.fd(), POLLIN, 0},
        pollfd{pair_.master.get(), 0, 0},
        pollfd{reading_ && takes_input() && !background && typed_.size() < k_buffer ? run_.input : -1, POLLIN,
               0},
        pollfd{shown_.empty() ? -1 : run_.output, POLLOUT, 0},
    };
    if (shown_.size() < k_buffer) polled[1].events |= POLLIN;
    if (!typed_.empty()) polled[1].events |= POLLOUT;
    if (::poll(polled.data(), polled.size(), patience(background)) < 0 && errno != EINTR) return;
    if (polled[3].revents != 0) show();
    if ((polled[1].revents & POLLIN) != 0) take_output();
    if ((polled[1].revents & POLLOUT) != 0) type();
    if (polled[2].revents != 0) take_input();
    if (polled[0].revents != 0) take_signals();
    keep_limits();
  }

  // Milliseconds until something must be looked at; -1: only when something happens.
  int patience(bool background) const {
    std::optional<milliseconds> left;
    const auto sooner = [&left](milliseconds when) { left = left ? std::min(*left, when) : when; };
    const auto until = [](Monotonic::time_point when) {
      return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(when - Monotonic::now()));
    };
    if (background) sooner(k_foreground_check);
    if (kill_at_) sooner(until(*kill_at_));
    if (run_.timeout && !kill_at_ && !over_) sooner(until(start_ + *run_.timeout));
    if (watch_at_) sooner(until(*watch_at_));
    return left ? static_cast<int>(std::min<milliseconds::rep>(left->count(), 60'000)) : -1;
  }

  // The user's terminal is in use by others: nothing is read from it.
  bool is_background() {
    if (typing_ == Typing::none || ::isatty(run_.input) != 1) return false;
    if (!in_foreground(run_.input)) return true;
    if (typing_ == Typing::raw && !raw_) {
      raw_ = std::make_unique<RawTerminal>(run_.input);
      copy_window(run_, pair_.master.get());
    }
    return false;
  }

  // The kernel gives no more than 4 KiB at once, and its worker fetches the next while these are carried on.
  void take_output() {
    for (std::size_t taken = 0; taken < k_buffer && shown_.size() < k_buffer;) {
      const ssize_t got = ::read(pair_.master.get(), piece_.data(), piece_.size());
      if (got <= 0) {
        at_end_ = !(got < 0 && (errno == EAGAIN || errno == EINTR));
        return;
      }
      taken += static_cast<std::size_t>(got);
      const std::string_view bytes = std::string_view(piece_).substr(0, static_cast<std::size_t>(got));
      bytes_ += bytes.size();
      if (run_.capture) run_.capture(bytes);
      if (output_open_) show(bytes);
    }
  }

  // Without a copy where nothing has to wait.
  void show(std::string_view bytes) {
    if (!output_waits_ && shown_.empty()) bytes.remove_prefix(written(bytes));
    if (output_open_) shown_.append(bytes);
    while (!output_waits_ && !shown_.empty() && show()) {
    }
  }

  // False if nothing could be written now.
  bool show() {
    const std::size_t most = output_waits_ ? k_piece : shown_.size();
    const std::size_t put = written({shown_.data(), std::min(shown_.size(), most)});
    shown_.drop(put);
    return put > 0;
  }

  // How many bytes the output took now.
  std::size_t written(std::string_view bytes) {
    const ssize_t put = ::write(run_.output, bytes.data(), bytes.size());
    if (put >= 0) return static_cast<std::size_t>(put);
    if (errno != EAGAIN && errno != EINTR) {
      output_open_ = false;
      end_.output_lost = true;
      shown_.clear();
    }
    return 0;
  }

  void take_input() {
    std::array<char, k_piece> piece{};
    const ssize_t got = ::read(run_.input, piece.data(), piece.size());
    if (got > 0) {
      typed_.append(piece.data(), static_cast<std::size_t>(got));
      open_line_ = piece[static_cast<std::size_t>(got) - 1] != '\n';
      if (typing_ == Typing::lines) look_at_input({piece.data(), static_cast<std::size_t>(got)});
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR && !lost_terminal())) {
      reading_ = false;
      constexpr char k_end_of_file = 0x04;
      typed_.append(open_line_ ? 2 : 1, k_end_of_file);
    }
  }

  // n_tty(4): what is special to a terminal, and lines of more than its buffer, do not arrive as they are.
  void look_at_input(std::string_view bytes) {
    constexpr std::size_t k_longest_line = 4095;
    constexpr unsigned char k_delete = 0x7F;
    for (const char byte : bytes) {
      const auto c = static_cast<unsigned char>(byte);
      line_length_ = c == '\n' ? 0 : line_length_ + 1;
      const bool special = (c < ' ' && c != '\n' && c != '\t') || c == k_delete;
      end_.input_changed |= special || line_length_ > k_longest_line;
    }
  }

  // EIO, and somebody else has become the foreground since the last look.
  bool lost_terminal() const {
    return errno == EIO && ::isatty(run_.input) == 1 && !in_foreground(run_.input);
  }

  void type() {
    const ssize_t put = ::write(pair_.master.get(), typed_.data(), typed_.size());
    if (put > 0) typed_.erase(0, static_cast<std::size_t>(put));
  }

  void take_signals() {
    while (const std::optional<int> number = signals_.next()) {
      if (*number == SIGCHLD) look_at_child();
      if (*number == SIGWINCH || *number == SIGCONT) copy_window(run_, pair_.master.get());
      if (*number == SIGCONT && raw_ && in_foreground(run_.input)) raw_->renew();
      if (*number == SIGTSTP) stop();
      if (is_request_to_end(*number)) interrupt(*number);
    }
  }

  // As a shell expects it: the terminal is usable while this process is stopped.
  void stop() {
    raw_.reset();
    ::kill(::getpid(), SIGSTOP);
  }

  void look_at_child() {
    int status = 0;
    if (!ended_ && ::waitpid(child_, &status, WNOHANG) == child_) {
      ended_ = true;
      end_.ended_at = Monotonic::now();
      end_.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
      end_.status = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    }
    reap_children(spare_, ended_ ? 0 : child_);
  }

  bool takes_input() const { return typing_ == Typing::raw || !held_; }

  // True if the watch asks for the end.
  bool watch() {
    watch_at_.reset();
    if (!run_.watch) return false;
    const PtyRun::Watched seen = run_.watch({child_, bytes_, shown_.size() >= k_buffer});
    held_ = !seen.takes_input;
    over_ = seen.over;
    if (seen.again) watch_at_ = Monotonic::now() + *seen.again;
    return seen.end;
  }

  void end_by_watch() {
    end_.ended_by_watch = true;
    ask_to_end(SIGTERM);
  }

  void interrupt(int number) {
    if (end_.interrupted != 0 || kill_at_) {
      kill_at_ = Monotonic::now();
      return;
    }
    watch();
    end_.interrupted = number;
    if (number == SIGINT) typed_.append(run_.interrupt_text);
    ask_to_end(number);
  }

  void ask_to_end(int number) {
    kill_at_ = Monotonic::now() + run_.grace;
    const pid_t front = ::tcgetpgrp(pair_.master.get());
    if (front > 0 && front != child_) ::kill(-front, number);
    if (::kill(-child_, number) != 0) ::kill(child_, number);
    ::kill(-child_, SIGCONT);
  }

  void keep_limits() {
    if (ended_) return;
    const Monotonic::time_point now = Monotonic::now();
    if (watch_at_ && now >= *watch_at_ && watch() && !kill_at_) end_by_watch();
    if (kill_at_ && now >= *kill_at_) {
      ::kill(child_, SIGKILL);
      for (const ProcessName& process : descendants(spare_)) ::kill(process.pid, SIGKILL);
      kill_at_ = now + run_.grace;
    } else if (!kill_at_ && run_.timeout && !over_ && now >= start_ + *run_.timeout) {
      watch();
      if (over_) return;
      end_.timed_out = true;
      ask_to_end(SIGTERM);
    }
  }

  // The child is gone: nobody but a process that could not be ended holds the other side, so its end comes by
  // itself. While nobody takes the output this waits, until a signal says not to.
  void drain() {
    pair_.slave.reset();
    reading_ = false;
    bool given_up = false;
    const Monotonic::time_point limit =
        kill_at_ ? Monotonic::now() + run_.grace : Monotonic::time_point::max();
    while ((!at_end_ || !shown_.empty()) && !given_up) {
      std::array<pollfd, 3> polled = {
          pollfd{signals_.fd(), POLLIN, 0},
          pollfd{at_end_ || shown_.size() >= k_buffer ? -1 : pair_.master.get(), POLLIN, 0},
          pollfd{shown_.empty() ? -1 : run_.output, POLLOUT, 0},
      };
      const bool waits = at_end_ && !kill_at_;
      const int ready = ::poll(polled.data(), polled.size(), waits ? -1 : static_cast<int>(k_quiet.count()));
      if (ready == 0 && polled[1].fd >= 0) at_end_ = true;
      given_up |= Monotonic::now() >= limit;
      if (polled[1].revents != 0) take_output();
      if (polled[2].revents != 0) show();
      while (const std::optional<int> number = signals_.next()) given_up |= is_request_to_end(*number);
    }
    end_.output_lost |= !shown_.empty();
    output_open_ = false;
    shown_.clear();
    // What was not read because nothing more could be shown still belongs in the capture.
    pollfd rest{pair_.master.get(), POLLIN, 0};
    while (!at_end_ && ::poll(&rest, 1, static_cast<int>(k_quiet.count())) > 0) take_output();
  }

  const PtyRun& run_;
  SignalSession& signals_;
  Typing typing_;
  Pair pair_;  // the slave stays open while the child runs, so that the master never reports a hang-up
               // meanwhile
  pid_t child_;
  std::set<pid_t> spare_;
  Monotonic::time_point start_;
  std::optional<Monotonic::time_point> kill_at_;
  std::optional<Monotonic::time_point> watch_at_;
  std::unique_ptr<RawTerminal> raw_;
  std::string piece_;  // room for reading
  Pending shown_;      // on its way to the output
  std::string typed_;  // on its way to the child
  bool reading_;
  bool output_waits_;
  bool held_ = false;
  bool over_ = false;
  std::uint64_t bytes_ = 0;
  bool open_line_ = false;
  std::size_t line_length_ = 0;
  bool output_open_ = true;
  bool at_end_ = false;
  bool ended_ = false;
  PtyEnd end_;
};

}  // namespace

Result<PtyEnd> run_on_pty(const PtyRun& run, SignalSession& signals) {
  ORCH_TRY(Pair pair, open_pair());
  const Typing typing = typing_of(run);
  set_up_terminal(run, typing, pair.slave.get());
  adopt_orphans();
  std::set<pid_t> spare;
  for (const ProcessName& process : descendants({})) spare.insert(process.pid);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return fail(errno_error(errno, "start", "a process"));
  if (child == 0) child_main(run, typing, pair.slave.get(), parent);
  return Relay(run, signals, typing, std::move(pair), child, std::move(spare)).to_end();
}

}  // namespace orch::sys
