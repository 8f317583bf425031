#include "launch/muvm_watch.hpp"

#include "launch/guest_script.hpp"
#include "sys/file.hpp"
#include "sys/process_tree.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <string_view>
#include <thread>

namespace orch::launch {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

namespace {

constexpr milliseconds k_often{10};  // until the guest has begun
constexpr milliseconds k_now_and_then{200};
constexpr milliseconds k_seldom{1000};
constexpr milliseconds k_gate_limit{60'000};   // a boot that takes longer does not keep others from looking
constexpr milliseconds k_input_limit{60'000};  // nor its input for ever

// muvm itself, or what a wrapper around it started.
bool is_ours(pid_t holder, pid_t child) {
  if (holder == child) return true;
  const std::vector<sys::ProcessName> ours = sys::descendants({});
  return std::any_of(ours.begin(), ours.end(),
                     [holder](const auto& process) { return process.pid == holder; });
}

// At the start of a line; in its middle somebody else quotes it.
bool says_no_record(const std::string& output) {
  return output.starts_with(k_no_record) || output.find(std::string("\n") + k_no_record) != std::string::npos;
}

}  // namespace

MuvmWatch::MuvmWatch(Setting setting, const OutputTail& output)
    : setting_(std::move(setting)), output_(&output), begin_(Clock::now()), last_output_(begin_) {}

MuvmWatch::~MuvmWatch() {
  if (holder_ && reused_ == false) remove_vm_record(setting_.runtime_dir, *holder_);
}

// Until the guest has begun: the VM that was to be joined may end while muvm starts, and then muvm's own takes its place.
void MuvmWatch::look_at_lock(pid_t child) {
  if (reused_ && (started_ || !*reused_)) return;
  const VmState state = look_at_vm(setting_.runtime_dir);
  if (!state.holder) return;
  holder_ = *state.holder;
  reused_ = *holder_ == 0 || !is_ours(*holder_, child);
  // A VM without a record is foreign to others; that is the worst that follows if it cannot be written.
  if (!*reused_) (void)leave_vm_record(setting_.runtime_dir, setting_.wanted, *holder_);
}

void MuvmWatch::look_at_guest() {
  if (ended_) return;
  if (!setting_.record.empty()) guest_ = read_guest_record(setting_.record);
  if (!started_ && (guest_.started || says_no_record(output_->text()))) started_ = Clock::now();
  if (!guest_.started && started_)
    guest_ = {};  // the guest could not write it: messages and status have to do
  if (guest_.ended || guest_.prelude || guest_.no_directory) ended_ = written(setting_.record);
}

// When the record was last written, which may be some time before this looks; not before the guest began.
MuvmWatch::Time MuvmWatch::written(const std::string& record) const {
  using std::chrono::system_clock;
  const Time now = Clock::now();
  const sys::Result<struct stat> info = sys::stat_file(record);
  if (!info) return now;
  const auto since_epoch =
      std::chrono::seconds(info->st_mtim.tv_sec) + std::chrono::nanoseconds(info->st_mtim.tv_nsec);
  const auto age = system_clock::now().time_since_epoch() - since_epoch;
  return std::clamp(now - std::chrono::duration_cast<Clock::duration>(age), started_.value_or(begin_), now);
}

// muvm#123. Not while its output has nobody to take it, nor while it waits for other commands of its VM.
bool MuvmWatch::stays_behind(const sys::PtyRun::Seen& seen) {
  const Time now = Clock::now();
  if (seen.bytes != bytes_ || seen.blocked) last_output_ = now;
  bytes_ = seen.bytes;
  if (!ended_ || setting_.exit_wait == milliseconds(0)) return false;
  constexpr std::string_view k_waiting = "Waiting for ";
  constexpr std::string_view k_others = " other commands launched through this muvm server to exit";
  const std::size_t others = output_->text().rfind(k_others);
  if (others != std::string::npos) {
    const std::size_t begin = output_->text().rfind(k_waiting, others);
    const bool none =
        begin != std::string::npos &&
        output_->text().compare(begin + k_waiting.size(), others - begin - k_waiting.size(), "0") == 0;
    if (!none) return false;
  }
  return now - std::max(*ended_, last_output_) >= setting_.exit_wait;
}

sys::PtyRun::Watched MuvmWatch::look(const sys::PtyRun::Seen& seen) {
  look_at_lock(seen.child);
  look_at_guest();
  const auto since = Clock::now() - begin_;
  if ((reused_ && (started_ || setting_.record.empty())) || since > k_gate_limit) setting_.gate.reset();
  sys::PtyRun::Watched out;
  hung_ = hung_ || stays_behind(seen);
  out.end = hung_;
  out.over = ended_.has_value();
  // muvm drops what was typed before it took the terminal.
  out.takes_input = setting_.record.empty() || started_ || since > k_input_limit;
  out.again = started_ ? k_now_and_then : setting_.record.empty() && reused_ ? k_seldom : k_often;
  if (hung_) out.again.reset();
  return out;
}

bool MuvmWatch::has_begun() {
  if (!started_ && !setting_.record.empty()) look_at_guest();
  return started_ || setting_.record.empty();
}

void MuvmWatch::finish() {
  finished_ = Clock::now();
  setting_.gate.reset();
  look_at_guest();
}

void MuvmWatch::cancel() {
  constexpr milliseconds k_moment{300};
  constexpr milliseconds k_look{20};
  if (setting_.record.empty() || !cancel_guest(setting_.record)) return;
  const Time until = Clock::now() + k_moment;
  while (!guest_.started && Clock::now() < until) {
    std::this_thread::sleep_for(k_look);
    guest_ = read_guest_record(setting_.record);
  }
}

std::vector<std::pair<std::string, double>> MuvmWatch::phases() const {
  if (!started_ || !finished_) return {};
  const auto seconds = [](Time from, Time to) { return std::chrono::duration<double>(to - from).count(); };
  const Time ended = std::clamp(ended_.value_or(*finished_), std::min(*started_, *finished_), *finished_);
  return {{"boot", seconds(begin_, *started_)},
          {"application", seconds(std::min(*started_, ended), ended)},
          {"shutdown", seconds(ended, *finished_)}};
}

}  // namespace orch::launch
