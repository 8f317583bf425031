#include "launch/guest_script.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

namespace orch::launch {

std::string prelude_script(const std::vector<std::string>& commands) {
  std::string out;
  for (const std::string& command : commands)
    // `command eval` and not `eval`: a syntax error in the latter ends a POSIX shell.
    out += fmt::format("command eval {} || echo \"appimage-orch: guest-pre ended with status $?\" >&2\n",
                       base::shell_quote(command));
  return out;
}

}  // namespace orch::launch
