// What this tool leaves beside muvm's lock, so that another run can tell whether the VM that holds it is of its own stack
// and mode; and what a run does with a VM that it finds. muvm itself ignores images and GPU mode of whoever joins a VM,
// without a word.
#pragma once

#include "base/result.hpp"
#include "model/launch.hpp"

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch::launch {

struct VmRecord {
  pid_t pid = 0;            // that holds the lock
  std::uint64_t start = 0;  // its start time, as /proc/PID/stat has it: a process id may be used again
  std::string app;          // for messages
  std::string mode;         // the GPU mode
  std::vector<std::string> images;   // SHA-256 of each, bottom first; the path where that is not known
  std::vector<std::string> options;  // further options of muvm

  // Whether a launch that wants `other` would get the same VM.
  bool same_vm(const VmRecord& other) const;
};

// The record that a VM of this launch gets; without pid and start.
VmRecord vm_record_of(const model::LaunchSpec& spec);

std::string encode(const VmRecord& record);
// nullopt: the text is no record, or one of another version.
std::optional<VmRecord> decode_vm_record(std::string_view text);

// Field 22 of /proc/PID/stat; 0 for no process.
std::uint64_t process_start(pid_t pid);

// The VM of a runtime directory.
struct VmState {
  std::optional<pid_t> holder;  // of muvm's lock; 0: a process of another PID namespace; nullopt: no VM runs
  std::optional<VmRecord> record;  // this tool's, only if it is about that very process
};
VmState look_at_vm(const std::string& runtime_dir);
// Leaves `record` beside the lock, for the process `holder`.
base::Result<> leave_vm_record(const std::string& runtime_dir, VmRecord record, pid_t holder);
// Takes it away if it is about `holder`.
void remove_vm_record(const std::string& runtime_dir, pid_t holder);

struct VmChoice {
  enum class Kind {
    start,   // no VM runs
    join,    // the one that runs
    wait,    // for one of another stack or mode, started by this tool: it will end with its application
    refuse,  // a foreign one
  } kind = Kind::start;
  std::string detail;  // which VM, and why
  // What to do about a VM that cannot be joined.
  std::string remedy() const;
};
// `policy`: "auto", "shared"; "private" has a runtime directory, and so a state, of its own.
VmChoice choose_vm(std::string_view policy, const VmState& state, const VmRecord& wanted);

}  // namespace orch::launch
