#include "cli/host_discovery.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace orch::cli {

using probe::Candidate;

std::vector<Candidate> discover(const model::Profile& profile, const sys::Environment& environment) {
  const base::Value* muvm = profile.value.find_path("launch.muvm");
  const base::Value::Array& layers = profile.layers();
  const bool automatic = std::any_of(layers.begin(), layers.end(), [](const base::Value& layer) {
    return layer.string_or("role", "") == "base" && layer.string_or("kind", "") == "auto";
  });
  return probe::discover_all(muvm != nullptr && muvm->is_string() ? muvm->as_string() : "",
                             automatic ? probe::OwnBase::no : probe::OwnBase::yes,
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
  std::optional<std::string> asked_for;
  for (const Candidate& candidate : candidates) {
    if (candidate.what != "muvm") continue;
    const bool on_path = candidate.found_by == "PATH";
    if (candidate.verdict == Candidate::Verdict::taken)
      return on_path ? std::nullopt : std::optional(candidate.path);
    if (!on_path && candidate.found_by != "usual place" && !asked_for) asked_for = candidate.path;
  }
  return asked_for;
}

}  // namespace orch::cli
