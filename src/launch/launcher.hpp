// How a command is started with a stack of images: one interface, two launchers (native, muvm). A launcher
// knows neither profiles nor evidence; it says what it would do, what stands against it, and how it ended.
#pragma once

#include "base/result.hpp"
#include "base/value.hpp"
#include "launch/advice.hpp"
#include "model/launch.hpp"
#include "sys/process.hpp"
#include "sys/signals.hpp"

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch::launch {

using base::Result;
using base::Value;

// A file of another program that takes part in a launch without being named in the profile.
struct Configuration {
  std::string name;  // "muvm" | "FEX"
  std::string path;
  std::string text;
  Value content;        // null where the text is no JSON
  std::string problem;  // why it is not; empty
};

// The machine and the caller, read once by the cli and handed in.
struct Host {
  sys::Environment environment;
  std::string machine;  // uname -m
  uid_t uid = 0;        // effective
  gid_t gid = 0;
  std::string cache_dir;  // absolute; the native launcher keeps extracted images in CACHE/native
  sys::ProcessRunner* processes = nullptr;
  // Of a file's bytes, hex; for what is remembered of a program. Empty: nothing is remembered.
  std::function<Result<std::string>(const std::string& path)> file_digest;
  std::vector<Configuration> configurations;  // those that exist
};

// The host this process runs on.
Host this_host(const sys::Environment& environment, const std::string& cache_dir,
               sys::ProcessRunner& processes);

// A precondition of a launch, as `doctor` and the preflight show it.
struct Check {
  enum class Status { ok, warning, failed, skipped };
  std::string id;
  Status status = Status::ok;
  std::string detail;
  std::string remedy;   // an action; empty where ok
  bool needed = false;  // where it failed nothing can be started, --force or not
  // Of a warning: by all that is known of the launcher a launch ends here. A run tries, for an unusual installation may well
  // work; `doctor` says failed.
  bool ends_launches = false;
};
std::string_view to_string(Check::Status status);
Value to_value(const Check& check);
// {"id","status","detail","remedy"} of the first that failed, worded as an Error; nullopt if none did.
std::optional<base::Error> first_failure(const std::vector<Check>& checks);

// A program that takes part in a launch, for inputs.json.
struct Tool {
  std::string name;
  std::string path;     // resolved; empty where absent
  std::string version;  // or what is known of it
};

struct Outcome {
  enum class Kind { exited, signaled, timed_out, interrupted, launch_failed };
  Kind kind = Kind::launch_failed;
  int status = 0;  // exited: the guest's; launch_failed: 125, 126 or 127
  int signal = 0;  // signaled: the guest's; interrupted: the one this tool was sent
  // "wait status" | "guest record" | "message" | "no message" | "muvm status" | "vm ended" | "timeout" | "signal" | "readiness" | "set-up"
  std::string determined_by;
  Value raw;                         // what was seen before it was interpreted: {"status","signal",…}
  std::optional<base::Error> error;  // why a launch failed
  std::vector<std::string> warnings;
  std::vector<std::string> advice;  // what to do next
  std::vector<Advice> signatures;   // known lines in the output, see advice.hpp
  bool vm_reused = false;
  std::optional<std::chrono::steady_clock::time_point> ended;  // the application; nullopt: not known
  // What the time of the launch was spent on, in seconds; empty: one phase, "launch".
  std::vector<std::pair<std::string, double>> phases;

  // Section 3 of the design: the guest's status, 128+N, 124, 125, 126, 127, 130/143/129.
  int exit_status() const;
};
// "exited", "signaled", "timed_out", "interrupted", "launch_failed": the report's "outcome".
std::string_view to_string(Outcome::Kind kind);

struct RunContext {
  sys::SignalSession* signals = nullptr;
  std::function<void(std::string_view)> capture;   // every byte of the terminal
  std::function<void(const std::string&)> notify;  // a line for the user, while something is waited for
  // Called when the application's command begins (native: its process; muvm: the command in the guest, where that can be known),
  // before `capture` gets what it prints; again where a first attempt came to nothing.
  std::function<void()> began;
  // Asked while the command runs, again when the time it gave has passed (nullopt: not again). `end`: the command is asked
  // to end, as a time limit does it; the outcome is interrupted, determined by "readiness".
  struct Look {
    std::optional<std::chrono::milliseconds> again;
    bool end = false;
  };
  std::function<Look()> look;
  int input = 0;
  int output = 1;
};

class Launcher {
 public:
  virtual ~Launcher() = default;
  // {"launcher","argv","env","images"}: what would be run. `env` holds what the launcher sets on purpose, not
  // what it passes through. Needs nothing installed.
  virtual Value describe(const model::LaunchSpec& spec) = 0;
  // Preconditions, each looked at without changing anything.
  virtual std::vector<Check> check(const model::LaunchSpec& spec) = 0;
  // Runs it to its end. What stands in the way of a start is an Outcome of kind launch_failed, too; an Error
  // is a defect or a lack of resources (no pseudo-terminal, no process).
  virtual Result<Outcome> run(const model::LaunchSpec& spec, const RunContext& context) = 0;
  virtual std::vector<Tool> tools(const model::LaunchSpec& spec) = 0;
  // All variables that the application gets. For muvm: worked out from what muvm's sources do.
  virtual sys::Environment guest_environment(const model::LaunchSpec& spec) = 0;
};

// "muvm" on aarch64, "native" on x86_64; an Error elsewhere. `wanted`: "auto", "native" or "muvm".
Result<std::string> choose_launcher(std::string_view wanted, std::string_view machine);

// `name`: "native" or "muvm". `host` is copied.
Result<std::unique_ptr<Launcher>> make_launcher(std::string_view name, const Host& host);

}  // namespace orch::launch
