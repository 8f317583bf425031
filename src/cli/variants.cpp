#include "cli/variants.hpp"

#include "base/text.hpp"
#include "base/variable_name.hpp"
#include "evidence/redact.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <set>
#include <string_view>

namespace orch::cli {

using base::ErrorKind;
using base::fail;
using base::printable;

namespace {

Result<> add_modes(const std::string& text, std::vector<VariantSetting>& out) {
  for (const std::string_view mode : base::split(text, ',')) {
    if (mode.empty()) continue;
    if (mode != "drm" && mode != "venus" && mode != "software")
      return fail(ErrorKind::usage, fmt::format("--ab: '{}' is no GPU mode", printable(mode)),
                  "write --ab drm,venus,software, or some of them");
    out.push_back({std::string(mode), std::string(mode), std::nullopt});
  }
  return {};
}

Result<> add_values(const std::string& text, std::vector<VariantSetting>& out) {
  const std::size_t equals = text.find('=');
  const std::string name = text.substr(0, equals);
  if (equals == std::string::npos || !base::is_variable_name(name))
    return fail(ErrorKind::usage, fmt::format("--ab-env '{}' names no variable", printable(text)),
                "write --ab-env NAME=VALUE,VALUE");
  if (evidence::is_secret_name(name))
    return fail(ErrorKind::usage,
                fmt::format("--ab-env: '{}' sounds like a secret, and evidence would name its values", name),
                "compare values of another variable");
  for (const std::string_view value : base::split(std::string_view(text).substr(equals + 1), ','))
    out.push_back({fmt::format("{}={}", name, value), "", std::pair(name, std::string(value))});
  return {};
}

}  // namespace

void add_variants(CLI::App& command, VariantArguments& arguments, const std::string& what) {
  command.add_option("--ab", arguments.modes, what + " GPU modes (drm,venus,software), and what differs")
      ->type_name("MODE,MODE");
  command.add_option("--ab-env", arguments.variable, what + " values of a variable")
      ->type_name("NAME=VALUE,VALUE");
}

void add_save(CLI::App& command, VariantArguments& arguments) {
  command.add_flag(
      "--save", arguments.save,
      "write what was best of --ab or --ab-env into the profile, where one was better than all others");
}

Result<> check_save(const VariantArguments& arguments) {
  if (!arguments.save || arguments.any()) return {};
  return fail(ErrorKind::usage, "--save, and nothing to save: it is what was best of several variants",
              "name them with --ab or --ab-env");
}

Result<> check_modes(const VariantArguments& arguments, const std::string& launcher) {
  if (arguments.modes.empty() || launcher == "muvm") return {};
  return fail(ErrorKind::usage,
              fmt::format("--ab {}: GPU modes are muvm's, and the launcher is '{}'",
                          printable(arguments.modes), printable(launcher)),
              "compare values of a variable by --ab-env NAME=VALUE,VALUE, or use --launcher muvm");
}

Result<std::vector<VariantSetting>> variants_of(const VariantArguments& arguments) {
  std::vector<VariantSetting> out;
  ORCH_CHECK(add_modes(arguments.modes, out));
  if (!arguments.variable.empty()) ORCH_CHECK(add_values(arguments.variable, out));
  std::set<std::string> names;
  for (const VariantSetting& setting : out)
    if (!names.insert(setting.name).second)
      return fail(ErrorKind::usage, fmt::format("variant '{}' is named twice", printable(setting.name)),
                  "name each of them once");
  if (out.size() < 2) return fail(ErrorKind::usage, "one variant is nothing to compare", "name two or more");
  return out;
}

void apply(const VariantSetting& setting, ProfileArguments& profile, LaunchOverrides& overrides) {
  if (!setting.gpu_mode.empty()) profile.gpu_mode = setting.gpu_mode;
  if (setting.variable) overrides.environment.push_back(*setting.variable);
}

}  // namespace orch::cli
