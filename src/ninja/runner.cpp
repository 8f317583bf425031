#include "ninja/runner.hpp"

#include "sys/file.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

namespace orch::ninja {

using base::ErrorKind;
using base::fail;

namespace {

constexpr int k_tick_ms = 100;

class LineReader {
 public:
  explicit LineReader(int fd) : fd_(fd) {}
  // Reads what is there; false at the end.
  bool read(const std::function<void(const std::string&)>& sink) {
    std::array<char, 8192> buffer;
    const ssize_t got = ::read(fd_, buffer.data(), buffer.size());
    if (got < 0) return errno == EINTR || errno == EAGAIN;
    if (got == 0) return false;
    pending_.append(buffer.data(), static_cast<std::size_t>(got));
    for (std::size_t end = pending_.find('\n'); end != std::string::npos; end = pending_.find('\n')) {
      sink(pending_.substr(0, end));
      pending_.erase(0, end + 1);
    }
    return true;
  }

 private:
  int fd_;
  std::string pending_;
};

sys::Command command_for(const RunOptions& options, const std::string& program, int log_fd, int events_fd) {
  sys::Command command;
  command.argv = {program};
  if (options.jobs > 0) command.argv.push_back(fmt::format("-j{}", options.jobs));
  if (options.keep_going) command.argv.emplace_back("-k0");
  command.argv.insert(command.argv.end(), options.targets.begin(), options.targets.end());
  command.directory = options.folder;
  command.stdout_fd = log_fd;
  command.stderr_fd = log_fd;
  command.inherit = {events_fd};
  if (options.lock_fd >= 0) command.inherit.push_back(options.lock_fd);
  // It outlives a tool that is killed: the lock it inherits keeps the next build waiting until it is done.
  command.on_parent_death = sys::Command::OnParentDeath::live;
  command.environment = sys::current_environment();
  (*command.environment)[k_events_variable] = std::to_string(events_fd);
  command.environment->erase("NINJA_STATUS");
  return command;
}

void pass_signals(const RunOptions& options, const sys::Child& child, RunResult& result) {
  while (const std::optional<int> number = options.next_signal()) {
    if (*number == SIGTSTP) {
      // The terminal has stopped ninja too, which is in the same group; so does SIGCONT reach both.
      ::kill(::getpid(), SIGSTOP);
      child.signal(SIGCONT);
    }
    if (*number != SIGINT && *number != SIGTERM && *number != SIGHUP && *number != SIGQUIT) continue;
    child.signal(result.interrupted == 0 ? SIGINT : SIGKILL);  // steps die with their ninja
    child.signal(SIGCONT);
    if (result.interrupted == 0) result.interrupted = *number;
  }
}

}  // namespace

Result<RunResult> run_ninja(const RunOptions& options, sys::ProcessRunner& processes) {
  const std::optional<std::string> program = sys::find_program("ninja", options.search_path);
  if (!program)
    return fail(ErrorKind::not_found, "the program 'ninja' was not found",
                "install the package 'ninja-build', or put the folder of ninja on PATH");
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail(base::errno_error(errno, "make", "a pipe"));
  sys::Fd events(ends[0]);
  sys::Fd sender(ends[1]);
  const std::string log_path = options.folder + "/ninja.log";
  ORCH_TRY(sys::Fd log, sys::open_file(log_path, O_WRONLY | O_CREAT | O_TRUNC, 0644));
  ORCH_TRY(sys::Child child, processes.start(command_for(options, *program, log.get(), sender.get())));
  sender.reset();
  ORCH_TRY(const sys::Fd ended_fd, child.ended_fd());
  RunResult result;
  LineReader reader(events.get());
  const auto take = [&](const std::string& line) {
    Event event;
    if (parse_event(line, event) && options.on_event) options.on_event(event);
  };
  bool open = true;
  while (true) {
    std::array<pollfd, 3> polled = {pollfd{open ? events.get() : -1, POLLIN, 0},
                                    pollfd{ended_fd.get(), POLLIN, 0}, pollfd{options.signal_fd, POLLIN, 0}};
    (void)::poll(polled.data(), polled.size(), k_tick_ms);
    if (polled[0].revents != 0) open = reader.read(take);
    if (options.on_tick) options.on_tick();
    if (options.next_signal) pass_signals(options, child, result);
    if (polled[1].revents == 0) continue;
    ORCH_TRY(result.exit, child.wait());
    break;
  }
  // Steps are gone before ninja is; what they said last is in the pipe.
  while (open) {
    pollfd polled{events.get(), POLLIN, 0};
    if (::poll(&polled, 1, 0) <= 0) break;
    open = reader.read(take);
  }
  result.output = sys::read_file(log_path).value_or(std::string());
  return result;
}

}  // namespace orch::ninja
