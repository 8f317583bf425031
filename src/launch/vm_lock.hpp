// Whether a VM of muvm runs for this user, found without touching it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace orch::launch {

// The process that holds a flock(2) on the file, from the text of /proc/locks ("… FLOCK ADVISORY WRITE PID
// MAJ:MIN:INODE …", MAJ and MIN hexadecimal). 0: a process of another PID namespace.
std::optional<pid_t> lock_holder(std::string_view locks, unsigned major, unsigned minor, std::uint64_t inode);

// The holder of RUNTIME_DIR/muvm.lock. The file stays behind a VM, so its presence says nothing.
std::optional<pid_t> running_vm(const std::string& runtime_dir);

}  // namespace orch::launch
