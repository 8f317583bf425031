#include "cli/host_discovery.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

namespace orch::cli {

using probe::Candidate;

std::vector<Candidate> discover(const model::Profile& profile, const sys::Environment& environment) {
  const base::Value* muvm = profile.value.find_path("launch.muvm");
  return probe::discover_all(muvm != nullptr && muvm->is_string() ? muvm->as_string() : "",
                             {sys::HostTree(), environment});
}

load::Host automatic_layers(const std::vector<Candidate>& candidates, const std::string& launcher) {
  load::Host out;
  out.launcher = launcher;
  for (const Candidate& candidate : candidates) {
    const bool taken = candidate.verdict == Candidate::Verdict::taken;
    if (candidate.what == "gpu" && taken) out.gpu.push_back(candidate.path);
    if (candidate.what != "base") continue;
    if (taken)
      out.base = candidate.path;
    else
      out.looked.push_back(fmt::format("'{}': {}", base::printable(candidate.path), candidate.reason));
  }
  return out;
}

std::optional<std::string> muvm_beside_path(const std::vector<Candidate>& candidates) {
  for (const Candidate& candidate : candidates) {
    if (candidate.what != "muvm" || candidate.found_by == "PATH") continue;
    const bool asked_for = candidate.found_by != "usual place";
    if (asked_for || candidate.verdict == Candidate::Verdict::taken) return candidate.path;
  }
  return std::nullopt;
}

}  // namespace orch::cli
