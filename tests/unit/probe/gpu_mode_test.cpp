#include "probe/gpu_mode.hpp"

#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <filesystem>

using namespace orch;
using namespace orch::probe;

namespace {

class FakeMachine {
 public:
  FakeMachine& node(const std::string& name, const std::string& driver) {
    (void)place_.write("sys/class/drm/" + name + "/device/uevent",
                       driver.empty() ? "MODALIAS=x\n" : "MODALIAS=x\nDRIVER=" + driver + "\nOF_NAME=gpu\n");
    return *this;
  }
  FakeMachine& apple() {
    (void)place_.write("proc/device-tree/compatible",
                       std::string("apple,j314s\0apple,t6000\0apple,arm-platform\0", 43));
    return *this;
  }
  GpuFacts facts() const {
    return gpu_facts(sys::HostTree::below(place_ / "sys"), sys::HostTree::below(place_.path()));
  }

 private:
  test::TempDir place_;
};

std::string chosen(const FakeMachine& machine) {
  const GpuChoice choice = choose_gpu_mode(machine.facts(), std::nullopt);
  return choice.mode + ": " + choice.reason;
}

}  // namespace

TEST_CASE("what a host says of its GPU") {
  const GpuFacts facts = FakeMachine()
                             .node("renderD128", "asahi")
                             .node("card0", "asahi")
                             .node("card0-eDP-1", "")
                             .apple()
                             .facts();
  REQUIRE(facts.nodes.size() == 1);
  CHECK(facts.nodes[0].name == "renderD128");
  CHECK(facts.nodes[0].driver == "asahi");
  CHECK(facts.soc == std::vector<std::string>{"apple,j314s", "apple,t6000", "apple,arm-platform"});
  CHECK(machine_of(facts) == "apple,j314s apple,t6000 apple,arm-platform renderD128=asahi " + facts.kernel);
}

TEST_CASE("the mode of a host") {
  CHECK(chosen(FakeMachine().node("renderD128", "asahi").apple()) ==
        "drm: renderD128 (asahi): there is a native context for this driver");
  CHECK(chosen(FakeMachine().node("renderD128", "amdgpu").node("renderD129", "nouveau")) ==
        "venus: renderD128 (amdgpu): native contexts are for asahi, msm alone");
  CHECK(chosen(FakeMachine().node("renderD128", "v3d").node("renderD129", "msm")) ==
        "drm: renderD129 (msm): there is a native context for this driver");
  for (const char* part : {"msm_dpu", "msm_mdp", "mdp4", "msm-mdss", "adreno"})
    CHECK(chosen(FakeMachine().node("renderD128", part)) ==
          std::string("drm: renderD128 (") + part +
              ", part of msm): there is a native context for this driver");
  CHECK(chosen(FakeMachine().node("renderD128", "panthor")) ==
        "venus: renderD128 (panthor): native contexts are for asahi, msm alone");
  CHECK(chosen(FakeMachine().node("renderD128", "")) ==
        "venus: renderD128: native contexts are for asahi, msm alone");
  CHECK(chosen(FakeMachine().node("card0", "simpledrm").apple()) ==
        "software: this host has no render node (/sys/class/drm/renderD*), so there is no GPU to hand on");
}

TEST_CASE("a muvm without modes leaves drm, and the reason says what it is not") {
  const GpuChoice left = drm_in_place_of({"venus", "renderD128: why"});
  CHECK(left.mode == "drm");
  CHECK(left.reason == "this muvm has drm alone (else venus: renderD128: why)");
}

TEST_CASE("an earlier A/B counts on the machine that it was made on") {
  FakeMachine machine;
  machine.node("renderD128", "asahi");
  const GpuFacts facts = machine.facts();
  CHECK(choose_gpu_mode(facts, EarlierAb{"venus", "/e/ab", machine_of(facts)}).mode == "venus");
  CHECK(choose_gpu_mode(facts, EarlierAb{"venus", "/e/ab", machine_of(facts)}).reason ==
        "the first of an A/B on this machine (/e/ab)");
  CHECK(choose_gpu_mode(facts, EarlierAb{"venus", "/e/ab", machine_of(facts) + "1"}).mode == "drm");
}
