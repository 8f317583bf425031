// Child processes. Every child starts from an argv array; there is no shell here.
#pragma once

#include "base/result.hpp"
#include "sys/fd.hpp"

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch::sys {

using base::Result;
using Environment = std::map<std::string, std::string>;

struct Command {
  std::vector<std::string> argv;           // argv[0]: a path, or a name looked up in PATH of `environment`
  std::string directory;                   // empty: the caller's
  std::optional<Environment> environment;  // nullopt: the caller's
  // Where the child's standard streams go. -1: standard input is /dev/null, the outputs are captured.
  int stdin_fd = -1;
  int stdout_fd = -1;
  int stderr_fd = -1;
  std::vector<int> inherit;  // further descriptors the child gets (kept under their number); no others
  enum class OnParentDeath { live, die } on_parent_death = OnParentDeath::die;  // die: SIGKILL by prctl
  std::optional<std::chrono::milliseconds> timeout;  // then SIGTERM, and after 2 s SIGKILL
  std::optional<mode_t> umask;                       // nullopt: the caller's
};

struct Exit {
  int status = 0;  // exit status, if signal is 0
  int signal = 0;
  bool timed_out = false;
  std::string output;  // captured standard output
  std::string errors;  // captured standard error
  bool ok() const { return status == 0 && signal == 0 && !timed_out; }
  // "exited with status 3", "was ended by signal 9 (SIGKILL)", "timed out"
  std::string describe() const;
};

// A child that runs. Ends and reaps it when destroyed.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(Child&& other) noexcept;
  Child& operator=(Child&&) = delete;
  ~Child();
  pid_t pid() const { return pid_; }
  // Waits for its end (EINTR is retried unless `stop` says true).
  Result<Exit> wait(const std::function<bool()>& stop = {});
  Result<std::optional<Exit>> try_wait();
  // A descriptor that poll(2) finds readable once the child has ended.
  Result<Fd> ended_fd() const;
  void signal(int number) const;

 private:
  pid_t pid_ = -1;
};

class ProcessRunner {
 public:
  virtual ~ProcessRunner() = default;
  // Runs to its end, whatever processes it leaves behind. An Error only if it could not be started; how it
  // ended is in the Exit.
  virtual Result<Exit> run(const Command& command) = 0;
  // Starts it; streams of -1 are /dev/null.
  virtual Result<Child> start(const Command& command) = 0;
};

class SystemProcessRunner final : public ProcessRunner {
 public:
  Result<Exit> run(const Command& command) override;
  Result<Child> start(const Command& command) override;
};

// The path of a program as execvp would find it in `search_path` (PATH form); names with '/' are taken as
// they are.
std::optional<std::string> find_program(std::string_view name, std::string_view search_path);

// The process's environment, read once by main and handed down.
Environment current_environment();
// The variable's value; `otherwise` where it is not set, or empty.
std::string variable(const Environment& environment, const std::string& name,
                     const std::string& otherwise = {});

// "SIGKILL" for 9; "signal 77" where there is no name.
std::string signal_name(int number);
// The kernel's boot id (/proc/sys/kernel/random/boot_id), without newline; empty if unreadable.
std::string boot_id();

}  // namespace orch::sys
