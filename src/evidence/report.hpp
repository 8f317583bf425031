// run.report.json as a value: section 9 of the design. docs/schemas/run-report-1.schema.json is its schema.
#pragma once

#include "base/value.hpp"
#include "evidence/run_log.hpp"
#include "model/launch.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace orch::evidence {

struct RunReport {
  // running | exited | signaled | timed_out | interrupted | launch_failed | preflight_failed | build_failed
  std::string outcome = "running";
  std::optional<int> status;  // the guest's exit status
  std::optional<int> signal;  // that ended the guest, or interrupted this tool
  std::string determined_by;
  std::string launcher;
  std::vector<std::string> argv;
  std::vector<model::LaunchImage> images;
  bool vm_reused = false;
  bool forced = false;             // the preflight failed, and the user went on
  std::optional<int> exit_status;  // this tool's
  std::string tool_version;
  std::string profile;  // its name
  std::string app_path;
  std::string app_sha256;
  std::int64_t pid = 0;  // this tool's
  std::string boot_id;
  std::string started;  // RFC 3339
  std::string ended;
  std::uint64_t log_bytes = 0;
  bool log_truncated = false;
  std::uint64_t log_left_out = 0;                      // bytes in the middle
  std::vector<std::pair<std::string, double>> phases;  // seconds
  std::vector<std::string> warnings;
  std::vector<std::string> advice;
  base::Value signatures;            // of known failures in the output: [{"id","line","meaning","action"}]
  std::optional<base::Error> error;  // what failed
  base::Value raw;                   // the launcher's Outcome::raw
  base::Value environment;           // what the launch sets: {"NAME": "value"}
  base::Value checks;                // the preflight's, as doctor shows them
  base::Value verify;  // {ok, missing} of appimage-orch/verify/1, without hints; null: not asked
};

// Unknown values are null, not left out.
base::Value to_value(const RunReport& report);

}  // namespace orch::evidence
