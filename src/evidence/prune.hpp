// Removing runs: which ones, and how, so that a kill in between leaves nothing that looks like a run.
#pragma once

#include "evidence/run_list.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace orch::evidence {

struct PruneRule {
  std::optional<std::size_t> keep;  // the newest N of each application stay
  std::optional<TimePoint> before;  // what began at or after this stays
  std::string app;                  // only this one's; empty: all
};

// Those of `runs` (newest first) to which nothing of the rule says that they stay. Running ones stay and count as kept,
// damaged ones do not count.
std::vector<RunSummary> to_prune(const std::vector<RunSummary>& runs, const PruneRule& rule);

struct Pruned {
  enum class Result { removed, stays, failed } result = Result::removed;
  std::string reason;       // why it was not removed
  std::uint64_t bytes = 0;  // of its files
};

// Removes the directory of a run that is over, under a hidden name. What is no run directory (see is_run_directory) and
// what runs, or may run, stays.
Pruned prune_run(const std::string& path);
// What prune_run would do.
Pruned would_prune(const std::string& path);
// Removes what earlier prunes, killed halfway, left in the folders of `root`.
void remove_leftovers(const std::string& root);

}  // namespace orch::evidence
