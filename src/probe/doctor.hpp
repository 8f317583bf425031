// What of this host stands in the way of launches: every precondition that can be looked at without a profile.
#pragma once

#include "launch/launcher.hpp"
#include "probe/discovery.hpp"

#include <string>
#include <vector>

namespace orch::probe {

struct Diagnosis {
  std::string launcher;  // "muvm" or "native": whose preconditions were looked at
  std::vector<launch::Check> checks;
  std::vector<Candidate> candidates;  // empty for native
  bool ok() const;                    // none has failed
};

// `launch`: of no application; its launcher is decided. The launcher's own checks are in it, as far as they need no application;
// what cannot be looked at is "skipped". `detail` is never empty: what was found, or why it was not looked at. Remedies name the
// command of this distribution's package manager where it has the package.
// `candidates`: what was looked for on this host; of none, for the native launcher.
base::Result<Diagnosis> diagnose(const model::LaunchSpec& launch, const launch::Host& host,
                                 std::vector<Candidate> candidates);

// "appimage-orch/doctor/1": docs/schemas/doctor-1.schema.json
Value to_value(const Diagnosis& diagnosis);

// "sudo dnf install X" for the distribution of this os-release, of what it calls the package of `thing` (a check's id, or a
// tool); empty where no package is known.
std::string install_command(std::string_view thing, std::string_view os_release);

}  // namespace orch::probe
