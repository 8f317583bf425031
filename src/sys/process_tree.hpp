// All processes that descend from this one, and how to end them: what a run leaves must not outlive it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <set>
#include <string>
#include <vector>

namespace orch::sys {

struct ProcessName {
  pid_t pid = 0;
  std::string name;  // as in /proc/PID/comm
};

// Makes orphaned descendants children of this process, so that none can get away by daemonising. Lasts for
// the process's life; a kernel that cannot is no error.
void adopt_orphans();

// Living descendants of this process (zombies left out), except those in `spare` and what descends from them.
std::vector<ProcessName> descendants(const std::set<pid_t>& spare);

// Sends SIGTERM, and to what is left after `grace` SIGKILL; reaps them all. Returns whom it had to end.
// A `grace` of zero kills at once. Gives up after 5 s on what even SIGKILL does not end.
std::vector<ProcessName> end_descendants(const std::set<pid_t>& spare, std::chrono::milliseconds grace);

// Reaps dead children that are not in `spare`, nor `keep` (0: none).
void reap_children(const std::set<pid_t>& spare, pid_t keep);

}  // namespace orch::sys
