// The native launcher: the stack's merged view without a VM, for x86_64 machines and CI. It is no container
// runtime: the process keeps the caller's user, network, processes and devices; only the file system is
// another one.
#pragma once

#include "launch/launcher.hpp"
#include "launch/mount_view.hpp"

namespace orch::launch {

class NativeLauncher final : public Launcher {
 public:
  explicit NativeLauncher(Host host) : host_(std::move(host)) {}
  Value describe(const model::LaunchSpec& spec) override;
  std::vector<Check> check(const model::LaunchSpec& spec) override;
  Result<Outcome> run(const model::LaunchSpec& spec, const RunContext& context) override;
  std::vector<Tool> tools(const model::LaunchSpec& spec) override;
  sys::Environment guest_environment(const model::LaunchSpec& spec) override;

 private:
  enum class Layers { mounted, extracted };
  Result<ViewPlan> plan(const model::LaunchSpec& spec, Layers layers);
  struct Attempt {
    Outcome outcome;
    std::optional<SetupFailure> failure;
  };
  Result<Attempt> attempt(const model::LaunchSpec& spec, const ViewPlan& view, const RunContext& context);

  Host host_;
};

// The command line inside the view: the entry with its arguments; with guest_pre commands, /bin/sh runs those
// first.
std::vector<std::string> guest_command(const model::LaunchSpec& spec);

// What to do where a user namespace cannot be had, from what the kernel says about itself.
std::string user_namespace_remedy();

}  // namespace orch::launch
