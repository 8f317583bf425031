// Where a probe's tools come from: the stack itself, and for those that it lacks an overlay that is built for probes alone.
#pragma once

#include "base/result.hpp"
#include "cli/build_view.hpp"
#include "cli/project.hpp"
#include "model/launch.hpp"
#include "probe/probe_report.hpp"
#include "probe/probe_script.hpp"

#include <optional>
#include <string>
#include <vector>

namespace orch::cli {

// The tools of the probe that the merged view of these images has no program of.
Result<std::vector<std::string>> lacking_tools(const Session& session,
                                               const std::vector<model::LaunchImage>& images,
                                               probe::ProbeKind kind);

struct ProbeTools {
  probe::ToolsOverlay overlay;              // for the report
  std::optional<model::LaunchImage> image;  // to lie below all others; nothing where there is no overlay
  int interrupted = 0;                      // the signal that ended its build
};

// The overlay of the packages that have these tools, for the first profile of a project that is built.
ProbeTools make_tools_overlay(const Session& session, Project& project, const ProjectOptions& options,
                              probe::ProbeKind kind, const std::vector<std::string>& tools);

}  // namespace orch::cli
