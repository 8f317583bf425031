#include "cli/host_discovery.hpp"

#include "base/text.hpp"
#include "format/json.hpp"
#include "hash/digest.hpp"
#include "sys/file.hpp"

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

namespace {

probe::GpuFacts facts_of_host(const Session& session) {
  const std::string sysfs = sys::variable(session.environment, "APPIMAGE_ORCH_SYSFS", "/sys");
  return probe::gpu_facts(sys::HostTree::below(sysfs), sys::HostTree());
}

// Of each profile a file: {"mode", "directory", "machine"}.
std::string memory_of(const Session& session, const std::string& profile) {
  return fmt::format("{}/gpu-modes/{}.json", session.state_dir, hash::digest_of(profile).hex());
}

std::optional<probe::EarlierAb> earlier_ab(const Session& session, const std::string& profile) {
  const std::string path = memory_of(session, profile);
  const Result<std::string> text = sys::read_file(path);
  if (!text) return std::nullopt;
  const Result<base::Value> content = format::parse_json(*text, path);
  if (!content || !content->is_object()) return std::nullopt;
  return probe::EarlierAb{content->string_or("mode", ""), content->string_or("directory", ""),
                          content->string_or("machine", "")};
}

}  // namespace

probe::GpuChoice choose_gpu_mode(const Session& session, const std::string& profile) {
  return probe::choose_gpu_mode(facts_of_host(session), earlier_ab(session, profile));
}

Result<> remember_gpu_mode(const Session& session, const std::string& profile, const std::string& mode,
                           const std::string& directory) {
  const base::Value content = base::Value::object(
      {{"mode", mode}, {"directory", directory}, {"machine", probe::machine_of(facts_of_host(session))}});
  ORCH_CHECK(sys::make_dirs(session.state_dir + "/gpu-modes"));
  return sys::write_atomic(memory_of(session, profile), format::to_json(content));
}

Result<bool> forget_gpu_mode(const Session& session, const std::string& profile) {
  const std::string path = memory_of(session, profile);
  if (!sys::exists(path)) return false;
  ORCH_CHECK(sys::remove_tree(path));
  return true;
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
