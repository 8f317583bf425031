// Runs a user's command as a step's action: an argv with placeholders, in a private directory, with a fixed
// environment.
#pragma once

#include "action/context.hpp"

#include <string>
#include <vector>

namespace orch::cli {

// {in.NAME} {out.NAME} {tool.NAME}: paths; {param.NAME}: the parameter as text. "{{" is "{".
// An Error of kind profile for a placeholder that the step does not have.
base::Result<std::vector<std::string>> expand_command(const std::vector<std::string>& command,
                                                      const action::Context& context);

// The command's output goes to `log_fd`. Success is exit status 0 and every output in its place.
base::Result<> run_command_action(const std::vector<std::string>& command, action::Context& context,
                                  int log_fd);

}  // namespace orch::cli
