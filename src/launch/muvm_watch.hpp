// Looks at a muvm that runs, from outside: whether it got a VM of its own or joined one, when the guest's command began
// and ended, and whether muvm stays behind after it (muvm#123).
#pragma once

#include "launch/guest_record.hpp"
#include "launch/parts.hpp"
#include "launch/vm_record.hpp"
#include "sys/file.hpp"
#include "sys/pty.hpp"

#include <chrono>
#include <optional>
#include <string>

namespace orch::launch {

class MuvmWatch {
 public:
  struct Setting {
    std::string runtime_dir;
    std::string record;                           // the guest's; may be empty
    VmRecord wanted;                              // left beside the lock of a VM that this muvm starts
    std::chrono::milliseconds exit_wait{10'000};  // of silence, after the application's end; 0: for ever
    // Held until the guest has begun: who looks meanwhile would find a VM without a record, or one that does not answer.
    std::optional<sys::FileLock> gate;
  };
  // `output` outlives this.
  MuvmWatch(Setting setting, const OutputTail& output);
  MuvmWatch(const MuvmWatch&) = delete;
  MuvmWatch& operator=(const MuvmWatch&) = delete;
  ~MuvmWatch();  // takes the record beside the lock away

  sys::PtyRun::Watched look(const sys::PtyRun::Seen& seen);
  // Whether the guest's command has begun, looked at now; true where there is no record that could say so.
  bool has_begun();
  // After the end of muvm.
  void finish();
  // After that, for a command that has not begun: it is not to. Waits a moment for one that begins all the same.
  void cancel();

  // nullopt: the VM was never seen (muvm failed before it took the lock, or it was too fast).
  std::optional<bool> reused() const { return reused_; }
  std::optional<pid_t> holder() const { return holder_; }
  const GuestRecord& guest() const { return guest_; }
  std::optional<std::chrono::steady_clock::time_point> ended() const { return ended_; }
  bool hung() const { return hung_; }  // the end was asked for because muvm stayed behind
  // Seconds until the guest's command began, that it ran, and after it, as far as they are known.
  std::vector<std::pair<std::string, double>> phases() const;

 private:
  using Time = std::chrono::steady_clock::time_point;
  void look_at_lock(pid_t child);
  void look_at_guest();
  Time written(const std::string& record) const;
  bool stays_behind(const sys::PtyRun::Seen& seen);

  Setting setting_;
  const OutputTail* output_;
  Time begin_;
  Time last_output_;
  std::uint64_t bytes_ = 0;
  std::optional<Time> started_, ended_, finished_;
  std::optional<bool> reused_;
  std::optional<pid_t> holder_;
  GuestRecord guest_;
  bool hung_ = false;
};

}  // namespace orch::launch
