// The plan as text, JSON, and as a graph for dot and mermaid.
#pragma once

#include "base/value.hpp"
#include "cli/project.hpp"

#include <string>

namespace orch::cli {

// `launch`: the launch objects of the profiles that have one, in their order (null: none); see
// launch::Launcher::describe.
std::string plan_text(const Project& project, const plan::Plan& plan,
                      const std::vector<base::Value>& launches);
base::Value plan_json(const Project& project, const plan::Plan& plan,
                      const std::vector<base::Value>& launches);
std::string plan_dot(const Project& project, const plan::Plan& plan);
std::string plan_mermaid(const Project& project, const plan::Plan& plan);
// All of one step: status, reasons, key and everything that takes part in it.
std::string explain_step(const Project& project, const plan::Plan& plan, model::StepIndex index);

// A reason as a sentence: "input 'appimage' changed (1a2b… -> 3c4d…)".
std::string reason_text(const plan::Reason& reason);

}  // namespace orch::cli
