// What a build would do and why: a status and a key for every step, without running anything.
#pragma once

#include "base/result.hpp"
#include "graph/graph.hpp"
#include "hash/stat_cache.hpp"
#include "model/spec.hpp"
#include "plan/tool.hpp"
#include "store/build_folder.hpp"
#include "store/store.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch::plan {

using base::Result;

enum class Status {
  fresh,    // stamp, key and artifacts agree: nothing to do
  cached,   // the key's result is in the store; only the stamp is out of date
  stale,    // will execute
  pending,  // takes from steps that will execute; identical results may cut it off
  always,   // never cached (preflight, launch)
};

std::string_view to_string(Status status);

// kind: "new" (never built here), "rule", "action", "parameter", "tool", "input", "output" (that item of the
// key differs: before, after), "stamp" (torn), "record" (unreadable), "artifact" (gone or corrupt), "lock",
// "upstream" (waits for `what`), "never" (not cached by its rule), "restored" (an earlier result with this
// key is in the store).
struct Reason {
  std::string kind;
  std::string what;
  std::string before;
  std::string after;
};

struct PlannedStep {
  Status status = Status::stale;
  std::optional<hash::Digest> key;           // once the digests of all inputs are known
  std::vector<hash::KeyItem> items;          // the key's twin, as far as it is known
  std::vector<model::OutputRecord> outputs;  // fresh and cached steps
  std::vector<Reason> reasons;
  model::StepSpec spec;
};

struct Plan {
  std::vector<PlannedStep> steps;  // by StepIndex
};

struct Surroundings {
  const store::Store& store;
  const store::BuildFolder& folder;
  hash::StatCache& stat_cache;
  ToolFinder& tools;
  std::string stat_cache_path;
  store::Repair repair = store::Repair::no;  // whether damage that is found in the store may be cleared away
};

Result<Plan> make_plan(const graph::Graph& graph, const Surroundings& surroundings);

// Digests of a spec's inputs as they are now, and the key. For the step runner: upstream digests come from
// stamps.
Result<std::vector<model::KeyInput>> leaf_and_stamp_digests(const model::StepSpec& spec,
                                                            const store::BuildFolder& folder,
                                                            hash::StatCache& stat_cache);

}  // namespace orch::plan
