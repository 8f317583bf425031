// What stands between a profile and the launch of its application: the build, and what it says of the stack.
#pragma once

#include "cli/launch_app.hpp"
#include "cli/launch_spec.hpp"
#include "cli/project.hpp"

#include <optional>
#include <string>
#include <vector>

namespace orch::cli {

struct AppBuild {
  std::optional<model::LaunchSpec> spec;
  base::Value stack;  // see stack_report()
  std::vector<std::string> warnings;
  std::optional<base::Error> error;
  AppRun::Shown shown = AppRun::Shown::no;  // failed steps are shown while the build runs
  int interrupted = 0;
};

// The Error that a failed build is, from what its report says.
base::Error build_error(const Project& project, const BuildReport& report);

// Builds the project's first profile, and asks for its launch. Steps are shown as they are built.
AppBuild build_app(const Session& session, Project& project, const LaunchOverrides& overrides);

// What is known of a run of the project's first profile before it is built. Streams and observer are the caller's to set.
RunStart run_start_of(const Project& project, const std::string& app, const std::string& out_dir, bool force);

}  // namespace orch::cli
