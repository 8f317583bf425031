#include "probe/gpu_mode.hpp"

#include "base/text.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <sys/utsname.h>

#include <algorithm>
#include <array>

namespace orch::probe {

namespace {

// What distributions that package muvm build virglrenderer with (its option drm-renderers).
constexpr std::array<std::string_view, 2> k_native_contexts = {"asahi", "msm"};

bool has_native_context(const RenderNode& node) {
  return std::find(k_native_contexts.begin(), k_native_contexts.end(), node.driver) !=
         k_native_contexts.end();
}

std::string words(const RenderNode& node) {
  return node.driver.empty() ? node.name : fmt::format("{} ({})", node.name, base::printable(node.driver));
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

}  // namespace orch::probe
