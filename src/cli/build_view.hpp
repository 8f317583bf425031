// How a build looks while it runs: a live line on a terminal, plain lines elsewhere, failures in full
// everywhere.
#pragma once

#include "cli/command.hpp"
#include "cli/project.hpp"

#include <memory>

namespace orch::cli {

// Whether standard error is a terminal that understands cursor control.
bool draws_over_lines(const Session& session);

// Writes to standard error. `terminal`: whether that is one that understands cursor control.
std::unique_ptr<BuildView> make_build_view(const Session& session);

// "4 executed, 1 cached, 2 fresh" and, if any, failed and skipped.
std::string build_summary(const BuildReport& report);

base::Value build_json(const Project& project, const BuildReport& report);

}  // namespace orch::cli
