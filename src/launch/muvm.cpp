#include "launch/muvm.hpp"

#include "base/text.hpp"
#include "launch/harmful_variables.hpp"
#include "launch/muvm_command.hpp"
#include "launch/muvm_outcome.hpp"
#include "launch/muvm_watch.hpp"
#include "launch/parts.hpp"
#include "launch/vm_lock.hpp"
#include "sys/file.hpp"
#include "sys/pty.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>

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
  // Set but empty is an invalid display for muvm.
  for (const char* name : {"DISPLAY", "XAUTHORITY"})
    if (const auto found = environment.find(name); found != environment.end() && found->second.empty())
      environment.erase(found);
  return environment;
}

}  // namespace

const MuvmState& MuvmLauncher::state(const model::LaunchSpec& spec) {
  if (state_) return *state_;
  const auto runtime_dir = host_.environment.find("XDG_RUNTIME_DIR");
  std::optional<std::string> path = find_muvm(spec.muvm, host_.environment);
  Result<MuvmFeatures> features = features_for(path, host_);
  VmChoice vm = choose_vm(spec.vm, {}, vm_record_of(spec));
  if (runtime_dir != host_.environment.end() && spec.vm != "private")
    vm = look_for_vm(spec, runtime_dir->second);
  state_.emplace(MuvmState{std::move(path), std::move(features), std::move(vm)});
  return *state_;
}

std::vector<std::string> MuvmLauncher::command(const model::LaunchSpec& spec) {
  const MuvmState& now = state(spec);
  const MuvmFeatures features = now.features ? *now.features : newest_muvm();
  return muvm_command(spec, now.path.value_or("muvm"), features, host_.environment);
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
  std::vector<Check> out = check_muvm(spec, host_, state(spec));
  for (Check& check : check_variables(spec, guest_environment(spec), host_)) out.push_back(std::move(check));
  return out;
}

namespace {

sys::PtyRun muvm_run(const model::LaunchSpec& spec, const ProgramCall& call) {
  sys::PtyRun run;
  run.child = [&spec, &call] {
    // Where it cannot be entered the guest says so.
    if (!spec.directory.empty() && ::chdir(spec.directory.c_str()) != 0) (void)::chdir("/");
    ::execve(call.program(), call.argv(), call.environment());
    ::dprintf(2, "Error: cannot start muvm: %s\n", std::strerror(errno));
    return 125;
  };
  run.piped_input = sys::PtyRun::Input::terminal;  // libkrun joins the guest's console to a terminal only
  run.interrupt_text = "\x03";
  return run;
}

// In a VM that was joined the command outlives the muvm that brought it; only a further muvm can reach it.
void end_in_guest(const std::string& muvm, const MuvmWatch& watch, const Host& host,
                  const std::string& runtime_dir) {
  const GuestRecord& guest = watch.guest();
  const bool alone =
      guest.group > 1 && guest.group == guest.pid;  // else the group is not only the application's
  if (!guest.started || guest.ended || !watch.holder() || running_vm(runtime_dir) != watch.holder()) return;
  const std::string target = fmt::format("{}{}", alone ? "-" : "", guest.pid);
  sys::Command command;
  // -s, because dash knows no "--" behind a signal of the form -TERM.
  command.argv = {muvm, "--", "/bin/sh", "-c",
                  fmt::format("kill -s TERM -- {0}; sleep 1; kill -s KILL -- {0}", target)};
  command.environment = host.environment;
  (*command.environment)["XDG_RUNTIME_DIR"] = runtime_dir;
  command.timeout = std::chrono::seconds(5);
  (void)host.processes->run(
      command);  // if that fails nothing else is left to try; the report says how the run ended
}

// muvm takes its lock before the VM answers, and gives up at once where it does not.
bool may_try_again(const Outcome& outcome, const OutputTail& tail, const GuestRecord& guest) {
  return outcome.kind == Outcome::Kind::launch_failed && !guest.started &&
         tail.text().find("could not request launch to server") != std::string::npos;
}

void add_reuse_warning(const MuvmWatch& watch, const VmChoice& choice, Outcome& out) {
  if (!out.vm_reused) return;
  if (choice.kind == VmChoice::Kind::join)
    out.warnings.push_back(choice.detail);  // the user has seen it before the start, where the checks said so
  else
    out.warnings.push_back(
        fmt::format("another muvm (process {}) took the lock at the same moment: the application ran in its "
                    "VM, with its images",
                    watch.holder().value_or(0)));
}

// Where somebody else looks on more often, muvm is still looked at as often as `watch` asks for; and the guest's beginning is told before what
// the guest prints.
void watch_both(sys::PtyRun& run, MuvmWatch& watch, const RunContext& context) {
  using Clock = std::chrono::steady_clock;
  const auto tell = [&watch, began = context.began, told = std::make_shared<bool>(false)] {
    if (*told || !began || !watch.has_begun()) return;
    *told = true;
    began();
  };
  run.capture = [tell, capture = std::move(run.capture)](std::string_view bytes) {
    tell();
    capture(bytes);
  };
  struct Last {
    sys::PtyRun::Watched seen;
    std::optional<Clock::time_point> again;
  };
  run.watch = [&watch, tell, others = std::move(run.watch),
               last = std::make_shared<Last>()](const sys::PtyRun::Seen& seen) {
    const Clock::time_point now = Clock::now();
    if (!others || !last->again || now >= *last->again) {
      last->seen = watch.look(seen);
      last->again = last->seen.again ? std::optional(now + *last->seen.again) : std::nullopt;
      tell();
    }
    sys::PtyRun::Watched out = last->seen;
    if (!others) return out;
    const sys::PtyRun::Watched other = others(seen);
    out.end |= other.end;
    if (other.again) out.again = out.again ? std::min(*out.again, *other.again) : other.again;
    return out;
  };
}

}  // namespace

Result<Outcome> MuvmLauncher::attempt(const model::LaunchSpec& spec, const RunContext& context,
                                      VmEntry& entry, OutputTail& tail) {
  sys::Environment environment = muvm_own_environment(host_.environment);
  environment["XDG_RUNTIME_DIR"] = entry.runtime_dir;
  const ProgramCall call(command(spec), environment);
  sys::PtyRun run = muvm_run(spec, call);
  connect(run, spec, context, tail);
  if (!spec.record.empty()) ORCH_CHECK(reserve_guest_record(spec.record));
  MuvmWatch watch({entry.runtime_dir, spec.record, vm_record_of(spec),
                   std::chrono::milliseconds(spec.exit_wait_ms), std::exchange(entry.gate, std::nullopt)},
                  tail);
  watch_both(run, watch, context);
  ORCH_TRY(sys::PtyEnd end, sys::run_on_pty(run, *context.signals));
  end.ended_by_watch &= !watch.hung();                        // else muvm was ended, and not the application
  const bool ended_before = watch.guest().ended.has_value();  // before it was asked to
  watch.finish();
  const bool reused = watch.reused().value_or(entry.choice.kind == VmChoice::Kind::join);
  Outcome out = outcome_of(end);
  const bool cut_off = out.kind == Outcome::Kind::timed_out || out.kind == Outcome::Kind::interrupted;
  if (cut_off && !ended_before) {
    if (reused) {
      if (!watch.guest().started) watch.cancel();
      end_in_guest(call.program(), watch, host_, entry.runtime_dir);
    }
    out.vm_reused = reused;
  } else {
    const bool status = state(spec).features && state(spec).features->status;
    const std::vector<std::string> warnings = std::move(out.warnings);
    out = muvm_outcome({tail.text(), k_guest_shell, end.status, end.signal, status, reused, watch.guest(),
                        muvm_program(spec).front()});
    out.warnings.insert(out.warnings.end(), warnings.begin(), warnings.end());
  }
  if (watch.hung())
    out.warnings.push_back(fmt::format("muvm did not end within {} of the application's end, and was ended",
                                       base::human_seconds(static_cast<double>(spec.exit_wait_ms) / 1000)));
  add_reuse_warning(watch, entry.choice, out);
  out.phases = watch.phases();
  out.ended = watch.ended();
  return out;
}

Result<Outcome> MuvmLauncher::run(const model::LaunchSpec& spec, const RunContext& context) {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::seconds k_try_for{10};
  constexpr double k_no_wait = 0.05;
  const Clock::time_point begin = Clock::now();
  const auto add_wait = [begin](Clock::time_point end, Outcome& out) {
    const double seconds = std::chrono::duration<double>(end - begin).count();
    if (seconds > k_no_wait) out.phases.insert(out.phases.begin(), {"vm-wait", seconds});
  };
  for (int tries = 1;; ++tries) {
    ORCH_TRY(VmEntry entry, enter_vm(spec, host_, context));
    const Clock::time_point entered = Clock::now();
    if (entry.refused) {
      add_wait(entered, *entry.refused);
      return *std::move(entry.refused);
    }
    OutputTail tail;
    ORCH_TRY(Outcome out, attempt(spec, context, entry, tail));
    const bool again =
        may_try_again(out, tail, read_guest_record(spec.record)) && Clock::now() < begin + k_try_for;
    if (again && context.signals->end_requested() == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      continue;
    }
    if (tries > 1)
      out.warnings.push_back(fmt::format("the VM was still starting: joined at attempt {}", tries));
    if (!out.phases.empty()) add_wait(entered, out);
    add_advice(tail.text(), out);
    return out;
  }
}

sys::Environment MuvmLauncher::guest_environment(const model::LaunchSpec& spec) {
  const MuvmState& now = state(spec);
  const bool reused = now.vm.kind == VmChoice::Kind::join;
  const MuvmFeatures features = now.features ? *now.features : newest_muvm();
  return muvm_guest_environment(spec, host_.environment, host_.uid, features, reused);
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
