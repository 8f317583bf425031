#include "sys/process.hpp"

#include "base/text.hpp"
#include "sys/fd.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

extern char** environ;  // NOLINT: POSIX demands this declaration

namespace orch::sys {

using base::errno_error;
using base::ErrorKind;
using base::fail;

std::string variable(const Environment& environment, const std::string& name, const std::string& otherwise) {
  const auto found = environment.find(name);
  return found == environment.end() || found->second.empty() ? otherwise : found->second;
}

std::string signal_name(int number) {
  const char* name = ::sigabbrev_np(number);
  if (name != nullptr) return std::string("SIG") + name;
  return fmt::format("signal {}", number);
}

std::string Exit::describe() const {
  if (timed_out) return "timed out";
  if (signal != 0) return fmt::format("was ended by signal {} ({})", signal, signal_name(signal));
  return fmt::format("exited with status {}", status);
}

Environment current_environment() {
  Environment out;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos) out.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

std::string boot_id() {
  static const std::string k_id = [] {
    Result<std::string> text = read_file("/proc/sys/kernel/random/boot_id");
    return text ? std::string(base::trim(*text)) : std::string();
  }();
  return k_id;
}

std::optional<std::string> find_program(std::string_view name, std::string_view search_path) {
  const auto executable = [](const std::string& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && ::access(path.c_str(), X_OK) == 0;
  };
  if (name.empty()) return std::nullopt;
  if (name.find('/') != std::string_view::npos) {
    std::string path(name);
    return executable(path) ? std::optional(path) : std::nullopt;
  }
  for (const std::string_view folder : base::split(search_path, ':')) {
    std::string path = (folder.empty() ? std::string(".") : std::string(folder)) + "/" + std::string(name);
    if (executable(path)) return path;
  }
  return std::nullopt;
}

namespace {

Exit exit_of(int wait_status) {
  Exit out;
  if (WIFSIGNALED(wait_status))
    out.signal = WTERMSIG(wait_status);
  else
    out.status = WEXITSTATUS(wait_status);
  return out;
}

struct Pipe {
  Fd read;
  Fd write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail(errno_error(errno, "make", "a pipe"));
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

// All that the child needs, made before fork so that the child only makes system calls.
struct Prepared {
  std::string program;
  std::vector<char*> argv;
  std::vector<std::string> environment_text;
  std::vector<char*> environment;
};

Result<Prepared> prepare(const Command& command) {
  if (command.argv.empty()) return fail(ErrorKind::internal, "an empty command line");
  Prepared out;
  std::string search = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";
  if (command.environment) {
    const auto path = command.environment->find("PATH");
    if (path != command.environment->end()) search = path->second;
  } else if (const char* path = ::getenv("PATH")) {
    search = path;
  }
  std::optional<std::string> program = find_program(command.argv[0], search);
  if (!program)
    return fail(ErrorKind::not_found,
                fmt::format("the program '{}' was not found", base::printable(command.argv[0])),
                "install it, or put its folder on PATH");
  out.program = std::move(*program);
  for (const std::string& word : command.argv) out.argv.push_back(const_cast<char*>(word.c_str()));
  out.argv.push_back(nullptr);
  if (command.environment) {
    for (const auto& [name, value] : *command.environment) out.environment_text.push_back(name + "=" + value);
    for (std::string& entry : out.environment_text) out.environment.push_back(entry.data());
    out.environment.push_back(nullptr);
  }
  return out;
}

struct Streams {
  int in = -1;
  int out = -1;
  int err = -1;
};

// Runs in the child: only async-signal-safe calls. Reports errno through `report` and leaves.
[[noreturn]] void child_main(const Command& command, const Prepared& prepared, const Streams& streams,
                             int report, pid_t parent) {
  const auto die = [&] {
    const int number = errno;
    (void)!::write(report, &number, sizeof number);
    ::_exit(127);
  };
  if (command.on_parent_death == Command::OnParentDeath::die) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int number : {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD}) ::signal(number, SIG_DFL);
  const std::array<int, 3> wanted = {streams.in, streams.out, streams.err};
  std::array<int, 3> moved{};
  for (std::size_t i = 0; i < 3; ++i) {
    moved[i] = ::fcntl(wanted[i], F_DUPFD_CLOEXEC, 3);
    if (moved[i] < 0) die();
  }
  for (std::size_t i = 0; i < 3; ++i)
    if (::dup2(moved[i], static_cast<int>(i)) < 0) die();
  // Whatever else is open here, also by others than this tool, stays with this tool: a lock in the hands of a
  // daemon that a command starts would be held for ever. (ENOSYS before Linux 5.11: then what was opened
  // without O_CLOEXEC gets through.)
  (void)::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  for (const int fd : command.inherit) ::fcntl(fd, F_SETFD, 0);
  if (command.umask) ::umask(*command.umask);
  if (!command.directory.empty() && ::chdir(command.directory.c_str()) != 0) die();
  if (command.environment)
    ::execve(prepared.program.c_str(), prepared.argv.data(), prepared.environment.data());
  else
    ::execv(prepared.program.c_str(), prepared.argv.data());
  die();
  ::_exit(127);
}

Result<Child> launch(const Command& command, const Streams& streams) {
  ORCH_TRY(const Prepared prepared, prepare(command));
  ORCH_TRY(Pipe report, make_pipe());
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return fail(errno_error(errno, "start", command.argv[0]));
  if (pid == 0) child_main(command, prepared, streams, report.write.get(), parent);
  report.write.reset();
  int number = 0;
  ssize_t got = 0;
  do {
    got = ::read(report.read.get(), &number, sizeof number);
  } while (got < 0 && errno == EINTR);
  Child child(pid);
  if (got == static_cast<ssize_t>(sizeof number)) {
    (void)child.wait();
    return fail(errno_error(number, "start", command.argv[0]));
  }
  return child;
}

}  // namespace

Child::Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}

Child::~Child() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
}

Result<Exit> Child::wait(const std::function<bool()>& stop) {
  if (pid_ <= 0) return fail(ErrorKind::internal, "the child was waited for before");
  int status = 0;
  while (true) {
    const pid_t got = ::waitpid(pid_, &status, 0);
    if (got == pid_) break;
    if (got < 0 && errno == EINTR) {
      if (stop && stop()) return fail(ErrorKind::interrupted, "interrupted");
      continue;
    }
    return fail(errno_error(errno, "wait for", std::to_string(pid_)));
  }
  pid_ = -1;
  return exit_of(status);
}

Result<std::optional<Exit>> Child::try_wait() {
  int status = 0;
  const pid_t got = ::waitpid(pid_, &status, WNOHANG);
  if (got == 0) return std::optional<Exit>{};
  if (got < 0) return fail(errno_error(errno, "wait for", std::to_string(pid_)));
  pid_ = -1;
  return std::optional<Exit>(exit_of(status));
}

Result<Fd> Child::ended_fd() const {
  const long fd = ::syscall(SYS_pidfd_open, pid_, 0);
  if (fd < 0) return fail(errno_error(errno, "watch", std::to_string(pid_)));
  return Fd(static_cast<int>(fd));
}

void Child::signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

Result<Child> SystemProcessRunner::start(const Command& command) {
  ORCH_TRY(const Fd null, open_file("/dev/null", O_RDWR));
  const auto pick = [&](int fd) { return fd >= 0 ? fd : null.get(); };
  return launch(command, {pick(command.stdin_fd), pick(command.stdout_fd), pick(command.stderr_fd)});
}

namespace {

// Reads both pipes while the child lives and what is in them when it has ended; what it left behind may hold
// them open for ever. Enforces the timeout; true if it ran out.
class Collector {
 public:
  Collector(Child& child, Fd ended, std::array<Fd*, 2> pipes, std::array<std::string*, 2> texts)
      : child_(child), ended_(std::move(ended)), pipes_(pipes), texts_(texts) {}

  bool collect(std::optional<std::chrono::milliseconds> timeout) {
    const auto start = std::chrono::steady_clock::now();
    bool timed_out = false;
    while (true) {
      int wait_ms = -1;
      if (timeout) {
        const auto limit = *timeout + (timed_out ? std::chrono::seconds(2) : std::chrono::seconds(0));
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(start + limit - std::chrono::steady_clock::now());
        if (left.count() <= 0) {
          child_.signal(timed_out ? SIGKILL : SIGTERM);
          if (timed_out) timeout.reset();
          timed_out = true;
          continue;
        }
        wait_ms = static_cast<int>(std::min<std::int64_t>(left.count(), 60000));
      }
      if (wait_once(wait_ms)) break;
    }
    while (read_ready(0)) {
    }
    return timed_out;
  }

 private:
  // True once the child has ended.
  bool wait_once(int wait_ms) {
    std::array<pollfd, 3> polled = {pollfd{pipes_[0]->get(), POLLIN, 0}, pollfd{pipes_[1]->get(), POLLIN, 0},
                                    pollfd{ended_.get(), POLLIN, 0}};
    if (::poll(polled.data(), polled.size(), wait_ms) < 0) return false;
    for (std::size_t i = 0; i < 2; ++i)
      if (polled[i].revents != 0) read_from(i);
    return polled[2].revents != 0;
  }

  bool read_ready(int wait_ms) {
    std::array<pollfd, 2> polled = {pollfd{pipes_[0]->get(), POLLIN, 0}, pollfd{pipes_[1]->get(), POLLIN, 0}};
    if (::poll(polled.data(), polled.size(), wait_ms) <= 0) return false;
    for (std::size_t i = 0; i < 2; ++i)
      if (polled[i].revents != 0) read_from(i);
    return true;
  }

  void read_from(std::size_t i) {
    std::array<char, 65536> buffer;
    const ssize_t got = ::read(pipes_[i]->get(), buffer.data(), buffer.size());
    if (got > 0)
      texts_[i]->append(buffer.data(), static_cast<std::size_t>(got));
    else if (got == 0 || errno != EINTR)
      pipes_[i]->reset();
  }

  Child& child_;
  Fd ended_;
  std::array<Fd*, 2> pipes_;
  std::array<std::string*, 2> texts_;
};

}  // namespace

Result<Exit> SystemProcessRunner::run(const Command& command) {
  ORCH_TRY(const Fd null, open_file("/dev/null", O_RDONLY));
  Pipe out;
  Pipe err;
  if (command.stdout_fd < 0) {
    ORCH_TRY(out, make_pipe());
  }
  if (command.stderr_fd < 0) {
    ORCH_TRY(err, make_pipe());
  }
  Streams streams;
  streams.in = command.stdin_fd >= 0 ? command.stdin_fd : null.get();
  streams.out = command.stdout_fd >= 0 ? command.stdout_fd : out.write.get();
  streams.err = command.stderr_fd >= 0 ? command.stderr_fd : err.write.get();
  ORCH_TRY(Child child, launch(command, streams));
  out.write.reset();
  err.write.reset();
  Exit captured;
  ORCH_TRY(Fd ended_fd, child.ended_fd());
  const bool timed_out =
      Collector(child, std::move(ended_fd), {&out.read, &err.read}, {&captured.output, &captured.errors})
          .collect(command.timeout);
  ORCH_TRY(Exit ended, child.wait());
  ended.output = std::move(captured.output);
  ended.errors = std::move(captured.errors);
  ended.timed_out = timed_out;
  return ended;
}

}  // namespace orch::sys
