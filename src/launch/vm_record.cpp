#include "launch/vm_record.hpp"

#include "base/text.hpp"
#include "launch/vm_lock.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <charconv>

namespace orch::launch {

namespace {

constexpr const char* k_file = "/muvm.lock.appimage-orch";
constexpr std::string_view k_head = "appimage-orch vm 1";

std::uint64_t number_of(std::string_view text) {
  std::uint64_t out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

// Values are printable (vm_record_of), so each has one line.
std::string line_of(const char* key, const std::string& value) {
  return fmt::format("{} {}\n", key, value);
}

std::string holder_name(const VmState& state) {
  if (state.record) return fmt::format("the VM of '{}' (process {})", state.record->app, *state.holder);
  if (*state.holder == 0) return "a VM of a process outside of this container";
  return fmt::format("a VM that this tool did not start (process {})", *state.holder);
}

std::string difference(const VmRecord& one, const VmRecord& other) {
  if (one.images != other.images) return "another stack";
  if (one.mode != other.mode) return fmt::format("the GPU mode {}", one.mode);
  return "other options of muvm";
}

}  // namespace

bool VmRecord::same_vm(const VmRecord& other) const {
  return images == other.images && mode == other.mode && options == other.options;
}

VmRecord vm_record_of(const model::LaunchSpec& spec) {
  VmRecord out;
  out.app = base::printable(spec.app);
  const bool default_mode = spec.gpu_mode.empty() || spec.gpu_mode == "auto";
  out.mode = default_mode ? "drm" : base::printable(spec.gpu_mode);
  for (const model::LaunchImage& image : spec.images)
    out.images.push_back(base::printable(image.digest.empty() ? image.path : image.digest));
  for (const std::string& option : spec.muvm_args) out.options.push_back(base::printable(option));
  return out;
}

std::string encode(const VmRecord& record) {
  std::string out = std::string(k_head) + "\n";
  out += fmt::format("pid {}\nstart {}\n", record.pid, record.start);
  out += line_of("app", record.app) + line_of("mode", record.mode);
  for (const std::string& image : record.images) out += line_of("image", image);
  for (const std::string& option : record.options) out += line_of("option", option);
  return out + "end\n";
}

std::optional<VmRecord> decode_vm_record(std::string_view text) {
  VmRecord out;
  bool head = false;
  for (const std::string_view line : base::split(text, '\n')) {
    if (!head) {
      if (line != k_head) return std::nullopt;
      head = true;
      continue;
    }
    if (line == "end") return out;
    const std::size_t space = line.find(' ');
    const std::string_view key = line.substr(0, space);
    const std::string value(space == std::string_view::npos ? std::string_view() : line.substr(space + 1));
    if (key == "pid") out.pid = static_cast<pid_t>(number_of(value));
    if (key == "start") out.start = number_of(value);
    if (key == "app") out.app = value;
    if (key == "mode") out.mode = value;
    if (key == "image") out.images.push_back(value);
    if (key == "option") out.options.push_back(value);
  }
  return std::nullopt;
}

std::uint64_t process_start(pid_t pid) {
  const sys::Result<std::string> text = sys::read_file(fmt::format("/proc/{}/stat", pid));
  // The name, field 2, is in parentheses and may hold anything.
  const std::size_t name_end = text ? text->rfind(')') : std::string::npos;
  if (name_end == std::string::npos) return 0;
  constexpr std::size_t k_start_time = 20;  // counted from the word behind the name, which is field 3
  const std::vector<std::string_view> words =
      base::split(base::trim(std::string_view(*text).substr(name_end + 1)), ' ');
  return words.size() < k_start_time ? 0 : number_of(words[k_start_time - 1]);
}

VmState look_at_vm(const std::string& runtime_dir) {
  VmState out;
  out.holder = running_vm(runtime_dir);
  if (!out.holder || *out.holder == 0) return out;
  const sys::Result<std::string> text = sys::read_file(runtime_dir + k_file);
  if (!text) return out;
  out.record = decode_vm_record(*text);
  if (out.record && (out.record->pid != *out.holder || out.record->start != process_start(*out.holder)))
    out.record.reset();
  return out;
}

base::Result<> leave_vm_record(const std::string& runtime_dir, VmRecord record, pid_t holder) {
  record.pid = holder;
  record.start = process_start(holder);
  return sys::write_atomic(runtime_dir + k_file, encode(record), sys::Sync::no, 0600);
}

void remove_vm_record(const std::string& runtime_dir, pid_t holder) {
  const std::string path = runtime_dir + k_file;
  const sys::Result<std::string> text = sys::read_file(path);
  const std::optional<VmRecord> record = text ? decode_vm_record(*text) : std::nullopt;
  if (record && record->pid == holder) ::unlink(path.c_str());
}

std::string VmChoice::remedy() const {
  constexpr const char* k_other_ways =
      "[launch] vm = \"private\" (a second VM) or \"shared\" (join it, with its images)";
  if (kind == Kind::refuse) return fmt::format("end it, or set {}", k_other_ways);
  return fmt::format("end what runs in it, wait longer with [launch] vm_wait, or set {}", k_other_ways);
}

VmChoice choose_vm(std::string_view policy, const VmState& state, const VmRecord& wanted) {
  if (!state.holder) return {VmChoice::Kind::start, "no VM is running"};
  const std::string name = holder_name(state);
  const bool same = state.record && state.record->same_vm(wanted);
  if (same) return {VmChoice::Kind::join, name + " has this stack and mode: it is joined"};
  if (policy == "shared")
    return {VmChoice::Kind::join, name + " is joined: its images and its GPU mode hold, not these"};
  if (state.record)
    return {VmChoice::Kind::wait,
            fmt::format("{} is running, with {}", name, difference(*state.record, wanted))};
  return {VmChoice::Kind::refuse,
          name + " is running, and would silently ignore these images and this GPU mode"};
}

}  // namespace orch::launch
