// The runs below an evidence root: all of them, some of them, the one that a word names.
#pragma once

#include "evidence/run_record.hpp"

#include <string>
#include <vector>

namespace orch::evidence {

// Newest first. ROOT/APP/STAMP, and ROOT/NAME with a run's files directly in it. Links and hidden names are passed over,
// and so are folders of APP that are neither named like a run nor have one of its files. A root that does not exist has
// no runs; what cannot be read is a damaged run.
Result<std::vector<RunSummary>> list_runs(const std::string& root, TimePoint now);

struct RunFilter {
  std::string app;      // as RunSummary::app, or the folder's name; empty: all
  std::string outcome;  // an outcome of the report, or a RunState; empty: all
  std::optional<TimePoint> since;
};
bool matches(const RunSummary& run, const RunFilter& filter);

// `word`: a run's directory; or, below `root`, the name of an application (its newest run), APP/STAMP, or how one of
// these or a STAMP begins, if only one begins so. Usage errors name what would have fitted.
// A variant of an A/B by its whole name, APP/STAMP/variant-N.
Result<Run> find_run(const std::string& root, const std::string& word, TimePoint now);

}  // namespace orch::evidence
