#include "launch/launcher.hpp"

#include "base/exit_status.hpp"
#include "base/text.hpp"
#include "launch/muvm.hpp"
#include "launch/native.hpp"

#include <fmt/format.h>

#include <sys/utsname.h>
#include <unistd.h>

namespace orch::launch {

Host this_host(const sys::Environment& environment, const std::string& cache_dir,
               sys::ProcessRunner& processes) {
  utsname name{};
  ::uname(&name);
  return {environment, name.machine, ::geteuid(), ::getegid(), cache_dir, &processes, {}, {}};
}

std::string_view to_string(Check::Status status) {
  switch (status) {
    case Check::Status::ok:
      return "ok";
    case Check::Status::warning:
      return "warning";
    case Check::Status::failed:
      return "failed";
    case Check::Status::skipped:
      return "skipped";
  }
  return "skipped";
}

Value to_value(const Check& check) {
  return Value::object({{"id", check.id},
                        {"status", to_string(check.status)},
                        {"detail", check.detail},
                        {"remedy", check.remedy}});
}

std::optional<base::Error> first_failure(const std::vector<Check>& checks) {
  for (const Check& check : checks)
    if (check.status == Check::Status::failed)
      return base::Error(base::ErrorKind::unsupported, check.detail, check.remedy);
  return std::nullopt;
}

std::string_view to_string(Outcome::Kind kind) {
  switch (kind) {
    case Outcome::Kind::exited:
      return "exited";
    case Outcome::Kind::signaled:
      return "signaled";
    case Outcome::Kind::timed_out:
      return "timed_out";
    case Outcome::Kind::interrupted:
      return "interrupted";
    case Outcome::Kind::launch_failed:
      return "launch_failed";
  }
  return "launch_failed";
}

int Outcome::exit_status() const {
  constexpr int k_timed_out = 124;
  switch (kind) {
    case Kind::exited:
      return status;
    case Kind::signaled:
    case Kind::interrupted:
      return base::k_signal_base + signal;
    case Kind::timed_out:
      return k_timed_out;
    case Kind::launch_failed:
      return status == 0 ? base::k_tool_failed : status;
  }
  return base::k_tool_failed;
}

Result<std::string> choose_launcher(std::string_view wanted, std::string_view machine) {
  if (wanted == "native" || wanted == "muvm") return std::string(wanted);
  if (wanted != "auto" && !wanted.empty())
    return base::fail(base::ErrorKind::usage,
                      fmt::format("there is no launcher '{}'", base::printable(wanted)),
                      "use 'auto', 'native' or 'muvm'");
  if (machine == "aarch64") return std::string("muvm");
  if (machine == "x86_64") return std::string("native");
  return base::fail(base::ErrorKind::unsupported,
                    fmt::format("no launcher for a machine of type '{}': expected aarch64 or x86_64",
                                base::printable(machine)),
                    "name one with --launcher");
}

Result<std::unique_ptr<Launcher>> make_launcher(std::string_view name, const Host& host) {
  if (name == "native") return std::unique_ptr<Launcher>(std::make_unique<NativeLauncher>(host));
  if (name == "muvm") return std::unique_ptr<Launcher>(std::make_unique<MuvmLauncher>(host));
  return base::fail(base::ErrorKind::internal,
                    fmt::format("there is no launcher '{}'", base::printable(name)));
}

}  // namespace orch::launch
