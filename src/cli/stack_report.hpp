// What steps found out about an application and its stack: the document of `verify`, as JSON and as text, and
// what of it stops a launch.
#pragma once

#include "base/error.hpp"
#include "base/value.hpp"
#include "cli/project.hpp"

#include <optional>
#include <string>
#include <vector>

namespace orch::cli {

// "appimage-orch/verify/1" of a profile: what verify-stack found, with the conflicts that check-stack found.
// Null where the profile has no application, does not ask ([verify] mode = "off"), or nothing is built.
Result<base::Value> stack_report(const Project& project, const std::string& profile, const plan::Plan& plan);
// The same from the paths of the two documents; an empty path: there is none.
Result<base::Value> stack_report(const std::string& verify, const std::string& check);

// {ok, missing} without hints: what a run's report keeps of it.
base::Value stack_summary(const base::Value& report);

// Sonames that are missing and required, each once, in the order of the report.
std::vector<std::string> required_sonames(const base::Value& report);

// For people; `all`: hints and objects too.
std::string stack_report_text(const std::string& profile, const base::Value& report, bool all);

// What keeps the application from starting, as an Error with the first of it; nothing where it can start. `profile`:
// expanded; it decides what there is to do.
std::optional<base::Error> stack_problem(const std::string& name, const base::Value& profile,
                                         const base::Value& report);

}  // namespace orch::cli
