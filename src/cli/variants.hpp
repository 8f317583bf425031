// What is held against each other, by probes, runs and benchmarks alike: GPU modes, or values of one variable.
#pragma once

#include "base/result.hpp"
#include "cli/launch_spec.hpp"
#include "cli/options.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace orch::cli {

struct VariantArguments {
  std::string modes;     // --ab: "drm,venus"
  std::string variable;  // --ab-env: "NAME=VALUE,VALUE"
  bool save = false;     // --save
  bool any() const { return !modes.empty() || !variable.empty(); }
};
// Adds --ab and --ab-env; `what` opens their help: "one probe for each of these".
void add_variants(CLI::App& command, VariantArguments& arguments, const std::string& what);

// Adds --save, which asks for the winner of these to be written into the profile.
void add_save(CLI::App& command, VariantArguments& arguments);
// Fails where --save has nothing to save.
Result<> check_save(const VariantArguments& arguments);

struct VariantSetting {
  std::string name;      // "drm", "LIBGL_ALWAYS_SOFTWARE=1"
  std::string gpu_mode;  // empty: the profile's
  std::optional<std::pair<std::string, std::string>> variable;
};
// Fails for GPU modes where the launcher is not muvm: nothing would differ but chance.
Result<> check_modes(const VariantArguments& arguments, const std::string& launcher);

// In the order in which they were given: two or more, each once.
Result<std::vector<VariantSetting>> variants_of(const VariantArguments& arguments);

void apply(const VariantSetting& setting, ProfileArguments& profile, LaunchOverrides& overrides);

}  // namespace orch::cli
