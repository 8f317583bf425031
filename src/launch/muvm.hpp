// The muvm launcher: an x86_64 command in a microVM with FEX, on aarch64 hosts.
#pragma once

#include "launch/launcher.hpp"
#include "launch/muvm_check.hpp"
#include "launch/vm_entry.hpp"

namespace orch::launch {

class OutputTail;

class MuvmLauncher final : public Launcher {
 public:
  explicit MuvmLauncher(Host host) : host_(std::move(host)) {}
  Value describe(const model::LaunchSpec& spec) override;
  std::vector<Check> check(const model::LaunchSpec& spec) override;
  Result<Outcome> run(const model::LaunchSpec& spec, const RunContext& context) override;
  std::vector<Tool> tools(const model::LaunchSpec& spec) override;
  sys::Environment guest_environment(const model::LaunchSpec& spec) override;

 private:
  const MuvmState& state(const model::LaunchSpec& spec);
  std::vector<std::string> command(const model::LaunchSpec& spec);
  Result<Outcome> attempt(const model::LaunchSpec& spec, const RunContext& context, VmEntry& entry,
                          OutputTail& tail);

  Host host_;
  std::optional<MuvmState> state_;  // asked once; muvm takes a moment to print its help
};

}  // namespace orch::launch
