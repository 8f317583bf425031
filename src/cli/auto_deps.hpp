// run --auto-deps: where libraries are missing and the profile takes no packages for them, an overlay that does is
// added to the profile, because somebody said so, on the command line or at the terminal.
#pragma once

#include "base/result.hpp"
#include "cli/project.hpp"

namespace orch::cli {

// Whether the profile's file was changed: it has to be opened again. `told`: --auto-deps was given; without it the
// user is asked, if there is a terminal to ask at. Nothing happens where no package has what is missing.
Result<bool> offer_auto_deps(Project& project, const base::Value& report, bool told, BuildView& view);

}  // namespace orch::cli
