// Two runs compared: what is different about what they ran with and how they ended, each thing once.
#pragma once

#include "evidence/compare.hpp"
#include "evidence/run_record.hpp"

#include <string>
#include <vector>

namespace orch::evidence {

struct Ignored {
  std::string field;
  std::string reason;
};

struct RunDiff {
  std::vector<Difference> differences;  // fields begin with "report." or "inputs."
  std::vector<Ignored> ignored;         // differ as well, as they do between any two runs
};

// essential: without what any two runs differ in (times, pid, the run's own directory, …) and without what another
// field says already: a variable is named where the launch sets it, not again as muvm's "-e"; a path below a directory
// that differs is the same where the rest of it is. everything: each field of both documents as it stands.
enum class DiffScope { essential, everything };

// Both runs have their documents.
RunDiff diff_runs(const Run& a, const Run& b, DiffScope scope);

// "appimage-orch/diff/1": {schema, a, b, differences: [{field, a, b}], ignored: [field]}; a and b are directories.
// Secrets are redacted.
Value to_value(const RunDiff& diff, const std::string& a, const std::string& b);

}  // namespace orch::evidence
