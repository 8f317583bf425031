#include "launch/vm_entry.hpp"

#include "base/text.hpp"
#include "launch/parts.hpp"
#include "launch/vm_lock.hpp"

#include <fmt/format.h>

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <thread>

namespace orch::launch {

using base::ErrorKind;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds k_pause{50};
// Another run of this tool starts its VM; it holds the gate until its guest has begun.
constexpr milliseconds k_gate_wait{30'000};
// Between the lock of a VM and its record, which is left in the same moment.
constexpr milliseconds k_record_wait{1'000};

// False: the user asks for the end.
bool pause(const RunContext& context) {
  pollfd polled{context.signals->fd(), POLLIN, 0};
  ::poll(&polled, 1, static_cast<int>(k_pause.count()));
  while (const std::optional<int> number = context.signals->next())
    if (*number == SIGTSTP) ::kill(::getpid(), SIGSTOP);
  return context.signals->end_requested() == 0;
}

Outcome interrupted(const RunContext& context) {
  Outcome out;
  out.kind = Outcome::Kind::interrupted;
  out.signal = context.signals->end_requested();
  out.determined_by = "signal";
  out.raw = Value::object();
  return out;
}

Outcome refusal(std::string what, std::string remedy) {
  Outcome out = failed_outcome(0, {ErrorKind::unsupported, std::move(what), std::move(remedy)});
  out.raw = Value::object();
  return out;
}

void link_if_there(const std::string& from, const std::string& to) {
  if (!sys::exists(from)) return;
  (void)sys::make_dirs(sys::parent_path(to), 0700);
  // Without it there is no sound or no Wayland; neither keeps an application from running.
  [[maybe_unused]] const int result = ::symlink(from.c_str(), to.c_str());
}

constexpr const char* k_gate = "/appimage-orch.lock";
constexpr const char* k_private = "/aorch-";

// Private runtime directories that killed runs left: nobody holds their lock, and no VM runs there. One that was made just now
// may not be locked yet.
void sweep(const std::string& runtime_dir) {
  constexpr std::time_t k_just_now = 60;
  const sys::Result<std::vector<std::string>> names = sys::list_dir(runtime_dir);
  if (!names) return;
  for (const std::string& name : *names) {
    const std::string path = runtime_dir + "/" + name;
    if (("/" + name).rfind(k_private, 0) != 0) continue;
    const sys::Result<struct stat> info = sys::lstat_file(path);
    if (!info || !S_ISDIR(info->st_mode) || std::time(nullptr) - info->st_mtime < k_just_now) continue;
    const auto lock = sys::FileLock::acquire(path + k_gate, sys::FileLock::Wait::no);
    if (lock && *lock && !running_vm(path)) (void)sys::remove_tree(path);
  }
}

// nullopt: the entry says why not.
Result<std::optional<sys::FileLock>> take_gate(VmEntry& entry, const RunContext& context,
                                               milliseconds patience) {
  const Clock::time_point deadline = Clock::now() + std::max(k_gate_wait, patience);
  bool told = false;
  for (;;) {
    ORCH_TRY(std::optional<sys::FileLock> gate,
             sys::FileLock::acquire(entry.runtime_dir + k_gate, sys::FileLock::Wait::no));
    if (gate) return gate;
    if (Clock::now() > deadline) {
      entry.refused = refusal("another run of appimage-orch has been starting a VM all the time",
                              "'evidence list --outcome running' names it: end it, or try again");
      return std::nullopt;
    }
    if (!told && context.notify) context.notify("waiting for another run to start its VM");
    told = true;
    if (pause(context)) continue;
    entry.refused = interrupted(context);
    return std::nullopt;
  }
}

}  // namespace

Result<PrivateRuntime> PrivateRuntime::make(const std::string& runtime_dir,
                                            const sys::Environment& environment) {
  sweep(runtime_dir);
  ORCH_TRY(std::string path, sys::make_temp_dir(runtime_dir + k_private));
  ORCH_TRY(std::optional<sys::FileLock> lock, sys::FileLock::acquire(path + k_gate, sys::FileLock::Wait::no));
  const std::string wayland = sys::variable(environment, "WAYLAND_DISPLAY", "wayland-0");
  if (wayland.find('/') == std::string::npos)
    link_if_there(runtime_dir + "/" + wayland, path + "/" + wayland);
  link_if_there(sys::variable(environment, "PIPEWIRE_RUNTIME_DIR", runtime_dir.c_str()) + "/pipewire-0",
                path + "/pipewire-0");
  link_if_there(runtime_dir + "/pulse/native", path + "/pulse/native");
  return PrivateRuntime(std::move(path), std::move(lock));
}

PrivateRuntime::~PrivateRuntime() {
  if (!path_.empty()) (void)sys::remove_tree(path_);
}

VmChoice look_for_vm(const model::LaunchSpec& spec, const std::string& runtime_dir) {
  const Clock::time_point deadline = Clock::now() + k_record_wait;
  for (;;) {
    VmChoice out = choose_vm(spec.vm, look_at_vm(runtime_dir), vm_record_of(spec));
    if (out.kind != VmChoice::Kind::refuse || Clock::now() > deadline) return out;
    // Between the lock of a VM and its record lies a moment, in which the run that starts it holds the gate.
    const auto gate = sys::FileLock::acquire(runtime_dir + k_gate, sys::FileLock::Wait::no);
    const bool held = gate && !gate->has_value();
    if (!held) return choose_vm(spec.vm, look_at_vm(runtime_dir), vm_record_of(spec));
    std::this_thread::sleep_for(k_pause);
  }
}

Result<VmEntry> enter_vm(const model::LaunchSpec& spec, const Host& host, const RunContext& context) {
  VmEntry out;
  out.runtime_dir = sys::variable(host.environment, "XDG_RUNTIME_DIR", "");
  if (spec.vm == "private") {
    ORCH_TRY(out.own, PrivateRuntime::make(out.runtime_dir, host.environment));
    out.runtime_dir = out.own->path();
    return out;
  }
  const VmRecord wanted = vm_record_of(spec);
  const milliseconds patience(spec.vm_wait_ms);
  const Clock::time_point deadline = Clock::now() + patience;
  bool told = false;
  for (;;) {
    // Not held while this waits: others may be able to join the VM that it waits for.
    ORCH_TRY(std::optional<sys::FileLock> gate, take_gate(out, context, patience));
    if (!gate) return out;
    out.choice = choose_vm(spec.vm, look_at_vm(out.runtime_dir), wanted);
    const bool wait = out.choice.kind == VmChoice::Kind::wait;
    if (!wait && out.choice.kind != VmChoice::Kind::refuse) {
      out.gate = std::move(gate);
      return out;
    }
    if (!wait || Clock::now() >= deadline) {
      const double seconds = static_cast<double>(spec.vm_wait_ms) / 1000;
      const std::string waited = wait && spec.vm_wait_ms > 0
                                     ? fmt::format("; waited {} for its end", base::human_seconds(seconds))
                                     : "";
      out.refused = refusal(out.choice.detail + waited, out.choice.remedy());
      return out;
    }
    if (!told && context.notify) context.notify(out.choice.detail + ": waiting for its end");
    told = true;
    gate.reset();
    if (pause(context)) continue;
    out.refused = interrupted(context);
    return out;
  }
}

}  // namespace orch::launch
