#include "cli/auto_deps.hpp"

#include "base/text.hpp"
#include "cli/auto_packages.hpp"
#include "cli/paths.hpp"
#include "cli/say.hpp"
#include "cli/stack_report.hpp"
#include "load/user_profile.hpp"
#include "package/lock_file.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>
#include <utility>

namespace orch::cli {

using base::fail;
using base::printable;

namespace {

constexpr std::size_t k_max_rows = 12;

bool has_terminal() {
  return ::isatty(STDIN_FILENO) == 1 && ::isatty(STDERR_FILENO) == 1;
}

// One line of the terminal; anything but a yes is a no.
bool ask(const std::string& question) {
  cli::say("{} [y/N] ", question);
  std::string line;
  for (int c = std::getchar(); c != EOF && c != '\n'; c = std::getchar()) line += static_cast<char>(c);
  return line == "y" || line == "Y" || line == "yes";
}

std::string name_of(const model::Profile& profile) {
  return printable(profile.name);
}

std::string joined(const std::vector<std::string>& words) {
  return printable(base::join(words, ", "));
}

// "'hello' lacks libjq.so.1, and source 'auto' has libjq1", or a list by package where there are more.
std::string finding(const model::Profile& profile, const std::vector<std::string>& sonames,
                    const SonameAnswer& answer, const std::vector<package::AutoPackage>& found) {
  if (sonames.size() == 1)
    return fmt::format("'{}' lacks {}, and {} has {}", name_of(profile), joined(sonames), answer.source,
                       found.front().package);
  std::map<std::string, std::vector<std::string>> packages;
  std::set<std::string> nowhere(sonames.begin(), sonames.end());
  std::size_t width = 0;
  for (const package::AutoPackage& item : found) {
    packages[item.package].push_back(item.soname);
    nowhere.erase(item.soname);
    width = std::max(width, item.package.size());
  }
  std::string out =
      fmt::format("'{}' lacks {} libraries, and {} has:", name_of(profile), sonames.size(), answer.source);
  std::size_t rows = 0;
  for (const auto& [package, libraries] : packages) {
    if (rows++ == k_max_rows) break;
    out += fmt::format("\n  {:<{}}  {}", package, width, joined(libraries));
  }
  if (packages.size() > k_max_rows)
    out += fmt::format("\n  and {} more packages", packages.size() - k_max_rows);
  if (!nowhere.empty())
    out += fmt::format("\nno package of it has {}", joined({nowhere.begin(), nowhere.end()}));
  return out;
}

std::string not_found_out(const base::Error& error) {
  return "which packages have what is missing could not be found out: " + base::one_line(error);
}

// For an error that will name them; a profile that starts all the same gets no such error.
void name_only(Project& project, base::Value& report, BuildView& view) {
  const model::Profile& profile = project.profiles().front();
  const base::Value* verify = profile.value.find("verify");
  if (verify != nullptr && verify->string_or("mode", "stop") != "stop") return;
  if (const Result<> named = project.name_packages(profile, report, view); !named)
    view.note(not_found_out(named.error()));
}

}  // namespace

Result<AddedOverlay> AddedOverlay::add(const Session& session, const model::Profile& profile) {
  AddedOverlay out;
  // A link to a profile stays one.
  ORCH_TRY(out.profile_.path, sys::real_path(profile.path));
  ORCH_TRY(out.profile_.before, sys::read_file(out.profile_.path));
  out.lock_.path = package::lock_path(profile, user_profiles(session));
  if (sys::exists(out.lock_.path)) {
    ORCH_TRY(out.lock_.before, sys::read_file(out.lock_.path));
  }
  ORCH_CHECK(load::add_auto_overlay(profile.path));
  ORCH_TRY(out.after_, sys::read_file(out.profile_.path));
  return out;
}

Result<bool> AddedOverlay::take_back() const {
  ORCH_TRY(const std::string now, sys::read_file(profile_.path));
  if (now != after_) return false;
  ORCH_TRY(const struct stat info, sys::stat_file(profile_.path));
  ORCH_CHECK(sys::write_atomic(profile_.path, *profile_.before, sys::Sync::no, info.st_mode & 07777));
  if (!lock_.before) {
    ORCH_CHECK(sys::remove_tree(lock_.path));
  } else {
    ORCH_TRY([[maybe_unused]] const bool changed, sys::write_if_changed(lock_.path, *lock_.before));
  }
  return true;
}

Result<AutoDeps> offer_auto_deps(const Session& session, Project& project, base::Value& report, bool told,
                                 BuildView& view) {
  const model::Profile& profile = project.profiles().front();
  const std::vector<std::string> sonames = required_sonames(report);
  if (sonames.empty() || !automatic_layer(profile).empty()) return AutoDeps();
  if (told && profile.built_in)
    return fail(base::ErrorKind::profile,
                fmt::format("profile '{}' is a shipped one: no overlay can be added to it", profile.name),
                fmt::format("write a profile with extends = \"{}\" and run that", profile.name));
  if (!told && (!has_terminal() || profile.built_in)) {
    name_only(project, report, view);
    return AutoDeps();
  }
  const Result<SonameAnswer> answer = project.find_providers(profile, sonames, view);
  if (!answer && told) return fail(answer.error());
  if (!answer) {
    view.note(not_found_out(answer.error()));
    return AutoDeps();
  }
  std::vector<package::AutoPackage> found = choose_packages(*answer, sonames);
  add_packages(report, *answer);
  for (const std::string& message : unanswered(*answer, sonames)) view.note(message);
  if (found.empty()) return AutoDeps();
  const std::string text = finding(profile, sonames, *answer, found);
  if (told)
    view.note(text);
  else if (!ask(fmt::format("{}\nAdd an overlay of such packages to '{}'?", text, printable(profile.path))))
    return AutoDeps();
  ORCH_TRY(AddedOverlay overlay, AddedOverlay::add(session, profile));
  view.note(fmt::format("added an overlay with auto = true to '{}'", printable(profile.path)));
  return AutoDeps{std::move(overlay), std::move(found)};
}

}  // namespace orch::cli
