// How a guest command ended, read from what muvm printed and from its own status. Pure: one decision table.
#pragma once

#include "launch/launcher.hpp"

#include <string>

namespace orch::launch {

struct MuvmEnd {
  std::string output;             // the terminal's last bytes, without carriage returns
  std::string command;            // COMMAND as it was given
  int status = 0;                 // muvm's
  int signal = 0;                 // that ended muvm
  bool status_is_guests = false;  // MuvmFeatures::status
  bool reused = false;            // the command joined a VM that ran
};

// In this order (the first that applies):
//  1. a signal ended muvm                         signaled         "muvm status"
//  2. the last message of muvm about COMMAND      as it says       "message"
//       exited with status 248 and a text of FEX  launch_failed    by the text: 127, 126, or 125 (no root
//       image) exited with status 255, no FEXServer      launch_failed    125 Failed to execute launch_failed
//       127 (os error 2), 126
//  3. status 0                                    exited 0         "muvm status" (before 0.5: "no message")
//  4. a line "Error: …" of muvm                   launch_failed    125, with that text
//  5. before 0.5, status 1                        exited 0         "no message" (it says 1 whatever the guest
//  did)
//  6. otherwise                                   exited           "muvm status"
// Images that could not be mounted become a warning in any case.
Outcome muvm_outcome(const MuvmEnd& end);

}  // namespace orch::launch
