// The way to a VM: one of its own, one that runs with this very stack, or none; waiting included.
#pragma once

#include "launch/launcher.hpp"
#include "launch/vm_record.hpp"
#include "sys/file.hpp"

#include <optional>
#include <string>
#include <utility>

namespace orch::launch {

// A runtime directory of a run's own: muvm keeps its lock and its sockets there, so a second VM can live beside another.
// Has links to the sockets of Wayland, PipeWire and PulseAudio that muvm looks for in it. Removed with this; those that killed
// runs left are removed by the next.
class PrivateRuntime {
 public:
  static Result<PrivateRuntime> make(const std::string& runtime_dir, const sys::Environment& environment);
  PrivateRuntime(PrivateRuntime&& other) noexcept
      : path_(std::exchange(other.path_, {})), lock_(std::move(other.lock_)) {}
  PrivateRuntime& operator=(PrivateRuntime&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(lock_, other.lock_);
    return *this;
  }
  ~PrivateRuntime();
  const std::string& path() const { return path_; }

 private:
  PrivateRuntime(std::string path, std::optional<sys::FileLock> lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}
  std::string path_;
  std::optional<sys::FileLock> lock_;  // in it: its run lives
};

// The longest runtime directory that leaves room for muvm's socket names (107 bytes, "/krun/socket/port-50199" of them).
inline constexpr std::size_t k_longest_runtime_dir = 107 - 23;

struct VmEntry {
  std::string runtime_dir;  // what XDG_RUNTIME_DIR is for muvm
  std::optional<PrivateRuntime> own;
  std::optional<sys::FileLock> gate;  // held: nobody else of this tool looks for a VM meanwhile
  VmChoice choice;
  std::optional<Outcome> refused;  // instead: why there is no way in, or that the user did not want to wait
};

// What a look says now, for plans and checks. It waits only while another run of this tool starts a VM.
VmChoice look_for_vm(const model::LaunchSpec& spec, const std::string& runtime_dir);

// Waits as the spec allows, telling the user what for; signals end the wait. An Error: no directory, no lock.
Result<VmEntry> enter_vm(const model::LaunchSpec& spec, const Host& host, const RunContext& context);

}  // namespace orch::launch
