// A step: a rule bound to values, a node of the graph.
#pragma once

#include "base/value.hpp"
#include "model/artifact.hpp"
#include "model/rule.hpp"

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace orch::model {

// Index into Graph::steps.
struct StepIndex {
  std::uint32_t value = 0;
  friend auto operator<=>(const StepIndex&, const StepIndex&) = default;
};

// A file or directory that no step makes.
struct Leaf {
  std::string path;  // absolute
  std::string
      logical;  // relative to the graph's root where it lies in it, else the path: takes part in the identity
};

struct Upstream {
  StepIndex step;
  std::size_t output = 0;  // index into the step's outputs
};

struct StepInput {
  std::string name;  // inputs that are lists: "images[0]", "images[1]", …
  std::variant<Leaf, Upstream> from;
  base::SourceSpan span;
};

struct StepParameter {
  std::string name;
  base::Value value;
};

struct Step {
  // "RULE-xxxxxxxxxxxx": rule and the first 12 hex digits of the identity.
  std::string id;
  // What this step is in its profile, whatever its parameters: "PROFILE/RULE[/ITEM]". The first profile's, if
  // shared.
  std::string slot;
  std::string rule;
  int rule_version = 1;
  std::string description;
  std::vector<std::string> profiles;
  std::vector<StepInput> inputs;
  std::vector<StepParameter> parameters;
  std::vector<StepParameter> settings;
  std::vector<RuleTool> tools;
  std::vector<RuleOutput> outputs;
  std::string builtin;
  std::vector<std::string> command;
  std::string pool;
  CachePolicy cache = CachePolicy::content;
  std::string unresolved;  // not empty: why its parameters are not known yet (no lock)
  base::SourceSpan span;
};

// The identity of a step: rule, version, action, parameters, tools, logical inputs and outputs.
// `upstream_ids` gives the id of each input's step, in the order of `inputs` (empty for leaves). The id is
// made of it.
std::string step_id(const Step& step, const std::vector<std::string>& upstream_ids);

}  // namespace orch::model
