// Brings one step up to date: what the edges of the ninja file call.
#pragma once

#include "base/result.hpp"
#include "cli/command.hpp"
#include "model/spec.hpp"
#include "plan/tool.hpp"
#include "store/build_folder.hpp"
#include "sys/process.hpp"

#include <functional>
#include <map>
#include <string>

namespace orch::cli {

using base::Result;

// The ways to identify tools that plan takes from outside (see plan::ToolFinder).
std::map<std::string, plan::ToolFinder::Identify> special_identities(sys::ProcessRunner& processes);

// Runs the step of a spec file that lies in a build folder. Says how it went to the build that started it, if
// any. The Error's text is for the step's log and for ninja's output.
Result<int> run_step(const std::string& spec_path, const Session& session);

}  // namespace orch::cli
