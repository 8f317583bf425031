// The graph of steps: profiles x rules. Pure: no files, no clock, no environment.
#pragma once

#include "base/result.hpp"
#include "model/profile.hpp"
#include "model/rule.hpp"
#include "model/step.hpp"

#include <span>
#include <string>
#include <vector>

namespace orch::graph {

using base::Result;

struct Graph {
  // In an order in which every step comes after those it takes from.
  std::vector<model::Step> steps;
  // Absolute folder that leaves are relative to: the deepest one that holds every profile.
  std::string root;

  const model::Step& operator[](model::StepIndex index) const { return steps[index.value]; }
};

// Expands every profile with every rule, and with the profile's own steps. Steps of equal identity become
// one. Errors, each with its place: a place that two steps provide, a cycle (with its path), an input that
// nothing provides, a step or output name that does not exist, a parameter of the wrong type, a parameter of
// a cached step that depends on this host. `root`: see Graph::root.
Result<Graph> expand(std::span<const model::Profile> profiles, std::span<const model::Rule> rules,
                     std::string root);

// The deepest folder that holds all of them. `folders` are absolute and normal.
std::string common_folder(const std::vector<std::string>& folders);

}  // namespace orch::graph
