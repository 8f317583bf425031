// run --auto-deps: where libraries are missing and the profile takes no packages for them, an overlay that does is
// added to the profile, because somebody said so, on the command line or at the terminal.
#pragma once

#include "base/result.hpp"
#include "cli/project.hpp"

#include <optional>
#include <vector>

namespace orch::cli {

// The packages that were found, if the profile's file was changed: it has to be opened again, and takes them then.
// `told`: --auto-deps was given; without it the user is asked, if there is a terminal to ask at. Nothing happens where
// no package has what is missing.
Result<std::optional<std::vector<package::AutoPackage>>> offer_auto_deps(Project& project,
                                                                         const base::Value& report, bool told,
                                                                         BuildView& view);

}  // namespace orch::cli
