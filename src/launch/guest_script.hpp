// Shell text for what cannot be said with an argument vector alone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace orch::launch {

// POSIX shell text that runs each command; one that fails is reported on standard error and does not keep the
// application from starting (a prelude under `set -e` did that once). Ends with a newline; empty for no
// commands.
std::string prelude_script(const std::vector<std::string>& commands);

}  // namespace orch::launch
