// Settings that are known to keep applications from what they need: a table as data, for the preflight and `doctor`.
#pragma once

#include "launch/launcher.hpp"
#include "model/launch.hpp"
#include "sys/process.hpp"

#include <array>
#include <string_view>
#include <vector>

namespace orch::launch {

struct HarmfulVariable {
  // application: where the profile, --env or the host's environment gives it to the application. tools: where this tool's own
  // environment has it, so that muvm and all other programs are started with it.
  enum class Where { application, tools };
  enum class Launcher { any, muvm };
  // elements: of a list with ':' between, any of which may fit. choices: with ',' or ';' between, of which the first that works is
  // taken, so that none is a finding where any of them is X11's.
  enum class Parts { whole, elements, choices };

  std::string_view name;
  std::array<std::string_view, 3> patterns;  // fnmatch(3), any of them; the empty ones do not count
  std::string_view why;
  std::string_view remedy;
  Launcher launcher = Launcher::any;
  Where where = Where::application;
  Parts parts = Parts::whole;
};
const std::vector<HarmfulVariable>& harmful_variables();

// A warning "variable-NAME" for each that was found, or one check "variables" that is ok. `guest`: what the application gets
// (Launcher::guest_environment); what a launcher sets by itself is not looked at.
std::vector<Check> check_variables(const model::LaunchSpec& spec, const sys::Environment& guest,
                                   const Host& host);

}  // namespace orch::launch
