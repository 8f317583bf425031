// How a guest command ended, read from the guest's own record, from what muvm printed and from its status. Pure: one
// decision table.
#pragma once

#include "launch/guest_record.hpp"
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
  GuestRecord guest = {};         // kept or not
  std::string program = {};       // what the guest's shell was to start
};

// The first that applies:
//
//  what is known                                         outcome                                   determined_by
//  1 the record: no directory, or guest_pre stopped it     launch_failed 125                         "guest record"
//    the record: ended while guest_pre ran                 launch_failed 125: the shell was replaced "guest record"
//  2 the record: ended 248/255 with a text of FEX          launch_failed 127, 126, 125 by the text   "guest record"
//    the record: ended 126/127, its shell says why         launch_failed 126, 127                    "guest record"
//      of the program
//    the record: ended by a signal                         signaled                                  "guest record"
//    the record: ended N                                   exited N                                  "guest record"
//  3 a signal ended muvm                                   signaled: the VM died, and the            "muvm status"
//                                                          application with it
//  4 the record: started; a message about COMMAND          as row 5 has it                           "message"
//    the record: started; its shell's line "ended N"       exited N (a record on a full disk)        "message"
//    the record: started                                   launch_failed 125: the VM ended first     "vm ended"
//  5 a message of muvm about COMMAND                       as it says; 248 and 255 as in row 2,      "message"
//                                                          "Failed to execute": 127 (os error 2), 126
//  6 the record: not started; a line "Error: …"            launch_failed 125, with that text         "muvm status"
//    the record: not started                               launch_failed 125                         "muvm status"
//  without a record:
//  7 status 0                                              exited 0          "muvm status"; before 0.5 "no message"
//  8 a line "Error: …" of muvm                             launch_failed 125, with that text         "muvm status"
//  9 before 0.5, not joined, status 1                      exited 0 (it says 1 whatever happened)    "no message"
// 10 otherwise                                             exited; 248 and 255 as in row 2           "muvm status"
//
// A message of muvm about COMMAND is the last one; but commands that joined the VM have theirs on the same console: so where
// muvm's status is the guest's, the last one that agrees with it. In a joined VM the own message stands elsewhere, and
// what looks like one is the application's.
//
// Images that could not be mounted become a warning in any case. What comes before this table (a time limit, a signal
// for this tool) is decided where the application had not ended by then.
Outcome muvm_outcome(const MuvmEnd& end);

}  // namespace orch::launch
