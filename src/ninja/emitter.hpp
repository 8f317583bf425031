// Turns a planned graph into the text of build.ninja. The same graph gives the same bytes, wherever it lies:
// paths are relative to the build folder, leaves to its `root` link, the tool is its `orch` link.
#pragma once

#include "base/result.hpp"
#include "graph/graph.hpp"
#include "plan/plan.hpp"

#include <string>

namespace orch::ninja {

using base::Result;

// An Error for a path that ninja cannot express (a line break in it).
Result<std::string> emit(const graph::Graph& graph, const plan::Plan& plan);

}  // namespace orch::ninja
