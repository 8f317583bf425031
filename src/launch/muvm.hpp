// The muvm launcher: an x86_64 command in a microVM with FEX, on aarch64 hosts.
#pragma once

#include "launch/launcher.hpp"

namespace orch::launch {

class MuvmLauncher final : public Launcher {
 public:
  explicit MuvmLauncher(Host host) : host_(std::move(host)) {}
  Value describe(const model::LaunchSpec& spec) override;
  std::vector<Check> check(const model::LaunchSpec& spec) override;
  Result<Outcome> run(const model::LaunchSpec& spec, const RunContext& context) override;
  std::vector<Tool> tools(const model::LaunchSpec& spec) override;

 private:
  Host host_;
};

}  // namespace orch::launch
