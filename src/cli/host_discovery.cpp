#include "cli/host_discovery.hpp"

#include "base/text.hpp"
#include "format/json.hpp"
#include "hash/digest.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace orch::cli {

using probe::Candidate;

namespace {

// What the layers of that role say, before real images stand in the place of "auto".
probe::NamedImages named_images(const model::Profile& profile, std::string_view role) {
  probe::NamedImages out;
  out.automatic = false;
  for (const base::Value& layer : profile.layers()) {
    if (layer.string_or("role", "") != role) continue;
    const std::string kind = layer.string_or("kind", "");
    if (kind == "auto")
      out.automatic = true;
    else if (kind == "file")
      out.images.push_back({layer.string_or("image", ""), ""});
    else if (kind == "packages")
      out.images.push_back({"", "the profile has it made of packages"});
    else
      out.images.push_back({layer.string_or(kind, ""), "the profile has it fetched"});
  }
  return out;
}

}  // namespace

std::vector<Candidate> discover(const model::Profile& profile, const sys::Environment& environment) {
  const base::Value* muvm = profile.value.find_path("launch.muvm");
  return probe::discover_all({muvm != nullptr && muvm->is_string() ? muvm->as_string() : "",
                              named_images(profile, "base"), named_images(profile, "gpu")},
                             {sys::HostTree(), environment});
}

load::Host automatic_layers(const std::vector<Candidate>& candidates, const std::string& launcher) {
  load::Host out;
  out.launcher = launcher;
  for (const Candidate& candidate : candidates) {
    if (candidate.found_by == "profile") continue;  // no "auto" stands for it
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
