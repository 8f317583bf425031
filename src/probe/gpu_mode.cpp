#include "probe/gpu_mode.hpp"

#include "base/text.hpp"
#include "launch/muvm_probe.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace orch::probe {

namespace {

// What distributions that package muvm build virglrenderer with (its option drm-renderers).
constexpr std::array<std::string_view, 2> k_native_contexts = {"asahi", "msm"};

// The driver of a render node's device may have another name than that of the DRM, by which virglrenderer tells them apart: it
// is that of the display or, without one, of the GPU. Linux, drivers/gpu/drm/msm, the names in its struct platform_driver; that of
// asahi has the same name as its DRM's.
constexpr std::array<std::pair<std::string_view, std::string_view>, 5> k_drm_names = {
    {{"msm_dpu", "msm"}, {"msm_mdp", "msm"}, {"mdp4", "msm"}, {"msm-mdss", "msm"}, {"adreno", "msm"}}};

std::string_view drm_name(const RenderNode& node) {
  for (const auto& [platform, drm] : k_drm_names)
    if (platform == node.driver) return drm;
  return node.driver;
}

bool has_native_context(const RenderNode& node) {
  return std::find(k_native_contexts.begin(), k_native_contexts.end(), drm_name(node)) !=
         k_native_contexts.end();
}

std::string words(const RenderNode& node) {
  if (node.driver.empty()) return node.name;
  const std::string driver = base::printable(node.driver);
  if (drm_name(node) == node.driver) return fmt::format("{} ({})", node.name, driver);
  return fmt::format("{} ({}, part of {})", node.name, driver, drm_name(node));
}

GpuChoice choice_of_host(const GpuFacts& facts) {
  if (facts.nodes.empty())
    return {"software",
            "this host has no render node (/sys/class/drm/renderD*), so there is no GPU to hand on"};
  for (const RenderNode& node : facts.nodes)
    if (has_native_context(node))
      return {"drm", fmt::format("{}: there is a native context for this driver", words(node))};
  return {"venus",
          fmt::format("{}: native contexts are for {} alone", words(facts.nodes.front()),
                      base::join(std::vector<std::string>(k_native_contexts.begin(), k_native_contexts.end()),
                                 ", "))};
}

}  // namespace

GpuFacts gpu_facts(const sys::HostTree& sysfs, const sys::HostTree& host) {
  constexpr const char* k_folder = "/class/drm";
  constexpr std::size_t k_most = 4096;
  GpuFacts out;
  for (const std::string& name : sysfs.list(k_folder).value_or(std::vector<std::string>())) {
    if (!name.starts_with("renderD")) continue;
    // DRIVER=NAME, as udev has it: a link to the driver would have to be followed for its name alone.
    const std::string text =
        sysfs.read(fmt::format("{}/{}/device/uevent", k_folder, name), k_most).value_or(std::string());
    std::string driver;
    for (const std::string_view line : base::split(text, '\n'))
      if (line.starts_with("DRIVER=")) driver = line.substr(line.find('=') + 1);
    out.nodes.push_back({name, driver});
  }
  const std::string names = host.read("/proc/device-tree/compatible", k_most).value_or(std::string());
  for (const std::string_view name : base::split(names, '\0'))
    if (!name.empty()) out.soc.emplace_back(name);
  utsname kernel{};
  if (::uname(&kernel) == 0) out.kernel = kernel.release;
  return out;
}

std::string machine_of(const GpuFacts& facts) {
  std::vector<std::string> parts = facts.soc;
  for (const RenderNode& node : facts.nodes) parts.push_back(node.name + "=" + node.driver);
  parts.push_back(facts.kernel);
  return base::join(parts, " ");
}

GpuChoice choose_gpu_mode(const GpuFacts& facts, const std::optional<EarlierAb>& earlier) {
  if (earlier && earlier->machine == machine_of(facts))
    return {earlier->mode,
            fmt::format("the first of an A/B on this machine ({})", base::printable(earlier->directory))};
  return choice_of_host(facts);
}

GpuChoice drm_in_place_of(const GpuChoice& wanted) {
  return {"drm", fmt::format("{} (else {}: {})", launch::k_drm_alone, wanted.mode, wanted.reason)};
}

}  // namespace orch::probe
