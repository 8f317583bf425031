// From a profile and its artifacts to what a launcher is asked to do.
#pragma once

#include "base/result.hpp"
#include "base/value.hpp"
#include "cli/project.hpp"
#include "launch/launcher.hpp"
#include "model/launch.hpp"

#include <string>
#include <utility>
#include <vector>

namespace orch::cli {

// What the command line of `run` adds to the profile.
struct LaunchOverrides {
  std::vector<std::string> args;  // after "--": behind the profile's
  std::vector<std::pair<std::string, std::string>> environment;
  std::vector<std::string> guest_pre;
  std::optional<std::int64_t> timeout_ms;
};

// The launch of one profile. Paths of artifacts that are not built yet are "(layer 'NAME', not built yet)" in a
// plan.
Result<model::LaunchSpec> make_launch_spec(Project& project, const model::Profile& profile,
                                           const plan::Plan& plan, const LaunchOverrides& overrides);

// The same from an expanded profile and named inputs: what the ninja target launch/NAME has.
Result<model::LaunchSpec> launch_spec_from(const base::Value& profile, const std::vector<LaunchInput>& inputs,
                                           const LaunchOverrides& overrides);

// The mode that stands for "auto", where muvm launches and no other was asked for. drm is muvm's own default and stays unnamed; it
// is all that a muvm without --gpu-mode has. `spec.muvm` is decided.
void take_automatic_gpu_mode(const Session& session, model::LaunchSpec& spec);

// The shell of the stack, to be started in the application's place: with muvm FEXBash, for muvm itself would start the host's.
Result<std::string> guest_shell(const Project& project, const model::LaunchSpec& spec);

// The host that launchers of this session work on, for that launch. `processes` outlives it.
launch::Host launch_host(const Session& session, sys::ProcessRunner& processes,
                         const model::LaunchSpec& spec);

// The same with evidence::k_redacted for secrets among arguments, variables and commands: for what is shown. Once words have
// become the text of a script, nothing can tell any more where a secret ends.
model::LaunchSpec without_secrets(model::LaunchSpec spec);

// The launch objects of all profiles that have an application.
Result<std::vector<base::Value>> launch_objects(const Session& session, Project& project,
                                                const plan::Plan& plan);

}  // namespace orch::cli
