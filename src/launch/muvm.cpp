#include "launch/muvm.hpp"

#include "base/text.hpp"
#include "launch/muvm_command.hpp"
#include "launch/muvm_outcome.hpp"
#include "launch/parts.hpp"
#include "launch/vm_lock.hpp"
#include "sys/file.hpp"
#include "sys/pty.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace orch::launch {

namespace {

Result<MuvmFeatures> features_for(const std::optional<std::string>& path, const Host& host) {
  if (!path) return base::fail(base::ErrorKind::not_found, "muvm was not found");
  if (host.uid == 0) return newest_muvm();  // as root it does not even print its help
  return probe_muvm(*path, host);
}

// muvm hands this one on to the guest, where it would point at the host's aarch64 drivers.
sys::Environment muvm_own_environment(sys::Environment environment) {
  environment.erase("LIBGL_DRIVERS_PATH");
  return environment;
}

}  // namespace

const MuvmState& MuvmLauncher::state(const model::LaunchSpec& spec) {
  if (state_) return *state_;
  const auto runtime_dir = host_.environment.find("XDG_RUNTIME_DIR");
  std::optional<std::string> path = find_muvm(spec.muvm, host_.environment);
  Result<MuvmFeatures> features = features_for(path, host_);
  std::optional<pid_t> running;
  if (runtime_dir != host_.environment.end()) running = running_vm(runtime_dir->second);
  state_.emplace(MuvmState{std::move(path), std::move(features), running});
  return *state_;
}

std::vector<std::string> MuvmLauncher::command(const model::LaunchSpec& spec) {
  const MuvmState& now = state(spec);
  const MuvmFeatures features = now.features ? *now.features : newest_muvm();
  const VmUse use = now.running && spec.vm == "shared" ? VmUse::shared : VmUse::own;
  return muvm_command(spec, now.path.value_or("muvm"), features, host_.environment, use);
}

Value MuvmLauncher::describe(const model::LaunchSpec& spec) {
  Value env = Value::object();
  for (const auto& [name, value] : muvm_environment(spec, host_.environment)) env.set(name, value);
  return Value::object({{"launcher", "muvm"},
                        {"argv", Value::strings(command(spec))},
                        {"env", std::move(env)},
                        {"images", images_value(spec)}});
}

std::vector<Check> MuvmLauncher::check(const model::LaunchSpec& spec) {
  return check_muvm(spec, host_, state(spec));
}

Result<Outcome> MuvmLauncher::run(const model::LaunchSpec& spec, const RunContext& context) {
  const ProgramCall call(command(spec), muvm_own_environment(host_.environment));
  sys::PtyRun run;
  run.child = [&] {
    if (!spec.directory.empty() && ::chdir(spec.directory.c_str()) != 0) return 125;
    ::execve(call.program(), call.argv(), call.environment());
    ::dprintf(2, "Error: cannot start muvm: %s\n", std::strerror(errno));
    return 125;
  };
  run.piped_input = sys::PtyRun::Input::terminal;  // libkrun joins the guest's console to a terminal only
  run.interrupt_text = "\x03";
  OutputTail tail;
  connect(run, spec, context, tail);
  ORCH_TRY(const sys::PtyEnd end, sys::run_on_pty(run, *context.signals));
  Outcome out = outcome_of(end);
  if (out.kind == Outcome::Kind::exited || out.kind == Outcome::Kind::signaled) {
    const MuvmState& now = state(spec);
    std::vector<std::string> warnings = std::move(out.warnings);
    out = muvm_outcome({tail.text(), k_guest_shell, end.status, end.signal,
                        now.features && now.features->status, now.running.has_value()});
    out.warnings.insert(out.warnings.end(), warnings.begin(), warnings.end());
  }
  add_library_advice(tail.text(), out.advice);
  return out;
}

std::vector<Tool> MuvmLauncher::tools(const model::LaunchSpec& spec) {
  const MuvmState& now = state(spec);
  std::string version;
  if (now.features) version = now.features->at_least + " or later";
  std::vector<Tool> out = {{"muvm", now.path.value_or(""), version}};
  const auto path = host_.environment.find("PATH");
  for (const char* name : {"FEXInterpreter", "FEX"})
    if (const auto found = sys::find_program(name, path == host_.environment.end() ? "" : path->second))
      out.push_back({name, *found, ""});
  return out;
}

}  // namespace orch::launch
