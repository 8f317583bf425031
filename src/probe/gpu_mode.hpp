// What stands for gpu_mode = "auto": what of this host decides how muvm gives the guest its GPU.
#pragma once

#include "base/value.hpp"
#include "sys/host_tree.hpp"

#include <optional>
#include <string>
#include <vector>

namespace orch::probe {

using base::Value;

struct RenderNode {
  std::string name;    // "renderD128"
  std::string driver;  // of its device, as the kernel calls it; empty: not known
};

struct GpuFacts {
  std::vector<RenderNode> nodes;  // in the order of their names; there is no GPU without one
  std::vector<std::string> soc;   // the device tree's names of the machine; empty: it has none
  std::string kernel;             // release
};
// `sysfs`: what stands for /sys. Nothing else of /sys is read than class/drm.
GpuFacts gpu_facts(const sys::HostTree& sysfs, const sys::HostTree& host);

// What an A/B of this machine found: by `probe gpu --ab`.
struct EarlierAb {
  std::string mode;
  std::string directory;  // of its evidence
  std::string machine;    // machine_of() at that time
};
// What has to be the same for an earlier A/B to say something: machine, drivers and kernel, in a word.
std::string machine_of(const GpuFacts& facts);

struct GpuChoice {
  std::string mode;    // "drm" | "venus" | "software"
  std::string reason;  // a sentence without its end, for checks and evidence
};
// In this order: what an A/B found here; software without a render node; drm where virglrenderer has a native context for the
// kernel's driver; else venus. docs/design/muvm-launcher.md has why.
GpuChoice choose_gpu_mode(const GpuFacts& facts, const std::optional<EarlierAb>& earlier);
// What is left where the muvm that is used has no --gpu-mode.
GpuChoice drm_in_place_of(const GpuChoice& wanted);

}  // namespace orch::probe
