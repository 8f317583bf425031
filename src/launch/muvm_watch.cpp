#include "launch/muvm_watch.hpp"

#include "sys/process_tree.hpp"

#include <algorithm>

namespace orch::launch {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

namespace {

constexpr milliseconds k_often{10};  // until it is known whose VM it is
constexpr milliseconds k_now_and_then{100};
constexpr milliseconds k_gate_limit{60'000};  // a boot that takes longer does not keep others from looking

// muvm itself, or what a wrapper around it started.
bool is_ours(pid_t holder, pid_t child) {
  if (holder == child) return true;
  const std::vector<sys::ProcessName> ours = sys::descendants({});
  return std::any_of(ours.begin(), ours.end(),
                     [holder](const auto& process) { return process.pid == holder; });
}

}  // namespace

MuvmWatch::MuvmWatch(Setting setting, const OutputTail& output)
    : setting_(std::move(setting)), output_(&output), begin_(Clock::now()) {}

MuvmWatch::~MuvmWatch() {
  if (holder_ && reused_ == false) remove_vm_record(setting_.runtime_dir, *holder_);
}

void MuvmWatch::look_at_lock(pid_t child) {
  if (reused_) return;
  const VmState state = look_at_vm(setting_.runtime_dir);
  if (!state.holder) return;
  holder_ = *state.holder;
  reused_ = *holder_ == 0 || !is_ours(*holder_, child);
  // A VM without a record is foreign to others; that is the worst that follows if it cannot be written.
  if (!*reused_) (void)leave_vm_record(setting_.runtime_dir, setting_.wanted, *holder_);
  setting_.gate.reset();
}

void MuvmWatch::look_at_guest() {
  if (setting_.record.empty() || ended_) return;
  guest_ = read_guest_record(setting_.record);
  if (guest_.started && !started_) started_ = Clock::now();
  if (guest_.ended || guest_.prelude || guest_.no_directory) ended_ = Clock::now();
}

sys::PtyRun::Watched MuvmWatch::look(pid_t child) {
  look_at_lock(child);
  look_at_guest();
  const Time now = Clock::now();
  if (setting_.gate && now - begin_ > k_gate_limit) setting_.gate.reset();
  // A VM stays as long as others run in it, and muvm says so.
  constexpr const char* k_others = "launched through this muvm server to exit";
  if (ended_ && now - *ended_ >= setting_.exit_wait && output_->text().find(k_others) == std::string::npos) {
    hung_ = true;
    return {std::nullopt, true, true};
  }
  // muvm drops what was typed before it took the terminal.
  const bool takes_input = setting_.record.empty() || started_;
  return {reused_ && started_ ? k_now_and_then : k_often, false, takes_input};
}

void MuvmWatch::finish() {
  finished_ = Clock::now();
  setting_.gate.reset();
  const bool late = !ended_.has_value();
  look_at_guest();
  if (late && ended_) ended_ = finished_;
}

std::vector<std::pair<std::string, double>> MuvmWatch::phases() const {
  if (!started_ || !finished_) return {};
  const auto seconds = [](Time from, Time to) { return std::chrono::duration<double>(to - from).count(); };
  const Time ended = ended_.value_or(*finished_);
  return {{"boot", seconds(begin_, *started_)},
          {"application", seconds(*started_, std::max(ended, *started_))},
          {"shutdown", seconds(ended, *finished_)}};
}

}  // namespace orch::launch
