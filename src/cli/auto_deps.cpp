#include "cli/auto_deps.hpp"

#include "base/text.hpp"
#include "cli/auto_packages.hpp"
#include "cli/stack_report.hpp"
#include "load/user_profile.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <cstdio>
#include <set>

namespace orch::cli {

using base::fail;
using base::printable;

namespace {

bool has_terminal() {
  return ::isatty(STDIN_FILENO) == 1 && ::isatty(STDERR_FILENO) == 1;
}

// One line of the terminal; anything but a yes is a no.
bool ask(const std::string& question) {
  fmt::print(stderr, "{} [y/N] ", question);
  std::fflush(stderr);
  std::string line;
  for (int c = std::getchar(); c != EOF && c != '\n'; c = std::getchar()) line += static_cast<char>(c);
  return line == "y" || line == "Y" || line == "yes";
}

std::vector<std::string> first_packages(const SonameAnswer& answer) {
  std::set<std::string> names;
  for (const auto& [soname, packages] : answer.providers)
    if (!packages.empty()) names.insert(packages.front());
  return {names.begin(), names.end()};
}

}  // namespace

Result<bool> offer_auto_deps(Project& project, const base::Value& report, bool told, BuildView& view) {
  const model::Profile& profile = project.profiles().front();
  const std::vector<std::string> sonames = required_sonames(report);
  if (sonames.empty() || !automatic_layer(profile).empty()) return false;
  if (!told && (!has_terminal() || profile.built_in)) return false;
  if (profile.built_in)
    return fail(base::ErrorKind::profile,
                fmt::format("profile '{}' is a shipped one: no overlay can be added to it", profile.name),
                fmt::format("write a profile with extends = \"{}\" and run that", profile.name));
  ORCH_TRY(const SonameAnswer answer, find_providers(profile, "", sonames, project.surroundings(view)));
  const std::vector<std::string> packages = first_packages(answer);
  if (packages.empty()) {
    view.note(fmt::format("no package of {} has {}", answer.source, printable(base::join(sonames, ", "))));
    return false;
  }
  const std::string found =
      fmt::format("'{}' lacks {}, and {} has {}", profile.name, printable(base::join(sonames, ", ")),
                  answer.source, base::join(packages, ", "));
  if (told)
    view.note(found);
  else if (!ask(
               fmt::format("{}.\nAdd an overlay for such packages to '{}'?", found, printable(profile.path))))
    return false;
  ORCH_CHECK(load::add_auto_overlay(profile.path));
  view.note(fmt::format("added an overlay with auto = true to '{}'", printable(profile.path)));
  return true;
}

}  // namespace orch::cli
