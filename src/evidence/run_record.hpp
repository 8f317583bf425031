// A run read back from its directory: the documents, and what a list says of it. A run that was killed and one whose
// documents are damaged are results too, not errors.
#pragma once

#include "base/result.hpp"
#include "base/value.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace orch::evidence {

using base::Result;
using base::Value;
using TimePoint = std::chrono::system_clock::time_point;

// killed: the report says "running", and nobody holds the run's lock. damaged: nothing can be said of how it ended.
enum class RunState { running, ended, killed, damaged };
std::string_view to_string(RunState state);

struct RunSummary {
  std::string path;  // absolute
  std::string name;  // "APP/STAMP" below an evidence root; else the path
  std::string app;   // the profile's name; where nothing says it, the folder's
  RunState state = RunState::damaged;
  std::string problem;                 // damaged: why
  std::string outcome;                 // the report's, "interrupted" for killed; empty for damaged
  std::optional<std::int64_t> status;  // the guest's
  std::optional<std::int64_t> signal;
  std::optional<std::int64_t> exit_status;  // the tool's
  std::optional<TimePoint> started;         // by the documents, else by the directory's name
  std::optional<double> seconds;            // until its end, or until now; nullopt: not known
  std::optional<std::size_t>
      variants;               // of an A/B (ab_directory.hpp), whose outcome is "compared" or "interrupted"
  bool is_benchmark = false;  // bench_directory.hpp; its outcome is "measured" or "interrupted"
};

struct Run {
  RunSummary summary;
  Value inputs;                // inputs.json; null: there is none that can be read
  Value report;                // run.report.json; likewise
  std::string inputs_problem;  // why `inputs` is null
  Value comparison;            // diff.json of an A/B, which has neither of the others
  Value benchmark;             // bench.json, likewise
};

// How it ended, for a column: "exit status 3", "signal 11 (SIGSEGV)", "killed".
std::string outcome_words(const RunSummary& run);

// A document of that name and schema. Errors: why it is none.
Result<Value> load_document(const std::string& directory, const std::string& name, std::string_view schema);

// True if one of the files of a run lies there, whatever is in it; and for the directory of an A/B or a benchmark.
bool has_run_files(const std::string& path);
// True for a directory (no link) with an inputs.json or run.report.json that has this tool's schema, and for those.
bool is_run_directory(const std::string& path);

// summary: inputs.json is only read where the report does not do.
enum class Parts { summary, all };
// `name` as in RunSummary; `now` ends what still runs.
Run read_run(const std::string& path, const std::string& name, TimePoint now, Parts parts);

}  // namespace orch::evidence
