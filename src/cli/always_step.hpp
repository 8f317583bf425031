// The steps that are never cached, as ninja targets (`ninja launch/NAME`): what `run` does in its own
// process.
#pragma once

#include "base/result.hpp"
#include "cli/command.hpp"
#include "model/spec.hpp"
#include "store/build_folder.hpp"

namespace orch::cli {

// Whether run_always_step() knows the spec's action ("preflight", "launch").
bool is_always_step(const model::StepSpec& spec);

// Its inputs must be built. The value is the exit status: of a launch the one of section 3 of the design
// (ninja turns any but 0 into its own 1; the evidence has it), of a preflight 1 if a check failed.
Result<int> run_always_step(const model::StepSpec& spec, const store::BuildFolder& folder,
                            const Session& session);

}  // namespace orch::cli
