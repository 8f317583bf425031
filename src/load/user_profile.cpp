#include "load/user_profile.hpp"

#include "base/text.hpp"
#include "format/toml.hpp"
#include "load/profile_edit.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <sys/stat.h>

#include <algorithm>

namespace orch::load {

namespace {

// How well an [origin] fits, best last.
enum class Fit { none, desktop_id, update_information, path };

bool same(std::string_view a, std::string_view b) {
  return !a.empty() && a == b;
}

Fit fit_of(const Value& origin, const AppFacts& facts) {
  const std::string desktop_id = origin.string_or("desktop_id", "");
  const bool other_application =
      !desktop_id.empty() && !facts.desktop_id.empty() && desktop_id != facts.desktop_id;
  if (same(origin.string_or("path", ""), facts.path) && !other_application) return Fit::path;
  if (same(origin.string_or("update_information", ""), facts.update_information))
    return Fit::update_information;
  if (same(desktop_id, facts.desktop_id)) return Fit::desktop_id;
  return Fit::none;
}

// Version and architecture at the end of a file's name are no part of a name: "Foo-1.2-x86_64" is "Foo".
std::string_view without_version(std::string_view name) {
  for (std::size_t i = 1; i + 1 < name.size(); ++i) {
    if (std::string_view("-_ .").find(name[i]) == std::string_view::npos) continue;
    std::string_view rest = name.substr(i + 1);
    if (rest[0] == 'v' || rest[0] == 'V') rest.remove_prefix(1);
    const bool digit = !rest.empty() && rest[0] >= '0' && rest[0] <= '9';
    const bool architecture =
        rest.starts_with("x86_64") || rest.starts_with("amd64") || rest.starts_with("x64");
    if (digit || architecture) return name.substr(0, i);
  }
  return name;
}

// Lower case letters, digits and single '-' between them.
std::string plain(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool upper = c >= 'A' && c <= 'Z';
    const bool kept = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (upper || kept)
      out += upper ? static_cast<char>(c - 'A' + 'a') : c;
    else if (!out.empty() && out.back() != '-')
      out += '-';
  }
  while (out.ends_with('-')) out.pop_back();
  return out.substr(0, 48);
}

std::string quoted(std::string_view text) {
  return format::toml_string(profile_text_of(text));
}

// One line of a comment: nothing in it may end the comment.
std::string comment(std::string_view text) {
  return base::printable(text.substr(0, 80));
}

}  // namespace

std::string profile_name_for(const AppFacts& facts) {
  std::string_view id = facts.desktop_id;
  const std::size_t dot = id.rfind('.');
  if (dot != std::string_view::npos) id.remove_prefix(dot + 1);
  if (std::string name = plain(id); !name.empty()) return name;
  const std::string file = sys::file_name(facts.path);
  std::string_view stem = file;
  if (const std::size_t at = stem.rfind(".AppImage"); at != std::string_view::npos) stem = stem.substr(0, at);
  std::string name = plain(without_version(stem));
  return name.empty() ? "app" : name;
}

Result<std::optional<std::string>> find_user_profile(const AppFacts& facts,
                                                     const Surroundings& surroundings) {
  const std::string folder = surroundings.config_dir + "/profiles";
  std::optional<std::string> best;
  Fit best_fit = Fit::none;
  if (!sys::exists(folder)) return best;
  ORCH_TRY(const std::vector<std::string> names, sys::list_dir(folder));
  for (const std::string& name : names) {
    if (!name.ends_with(".toml") || name.ends_with(".lock.toml")) continue;
    const std::string path = folder + "/" + name;
    auto text = sys::read_file(path);
    if (!text) continue;
    const auto document = format::parse_toml_text(path, *std::move(text));
    const Value* origin = document ? document->find("origin") : nullptr;
    const Fit fit = origin == nullptr ? Fit::none : fit_of(*origin, facts);
    if (fit <= best_fit) continue;
    best = path;
    best_fit = fit;
  }
  return best;
}

Result<std::string> profile_text(const AppFacts& facts, const std::string& name, const std::string& extends,
                                 const std::string& appimage) {
  for (const std::string* text : {&appimage, &facts.path, &facts.desktop_id, &facts.update_information})
    if (!base::is_utf8(*text))
      return base::fail(base::ErrorKind::unsupported,
                        fmt::format("'{}' is not UTF-8, and a profile is", base::printable(*text)),
                        "rename the file");
  const std::string title = facts.title.empty() ? sys::file_name(facts.path) : facts.title;
  std::string out = fmt::format(
      "# Profile for {}, made by appimage-orch. Edit it freely; every key is in appimage-orch-profile(5).\n"
      "schema = 1\n"
      "name = {}\n"
      "extends = {}\n"
      "\n"
      "[app]\n"
      "appimage = {}\n"
      "# args = [\"--option\"]\n"
      "# env = {{ NAME = \"value\" }}   # ${{appdir}} is where the application is unpacked\n"
      "\n"
      "# [stack]\n"
      "# base = \"FILE.erofs\"         # instead of the one that is found\n"
      "\n"
      "# Libraries that the application expects from the system, out of packages:\n"
      "# [[stack.deps]]\n"
      "# name = \"libraries\"\n"
      "# source = \"auto\"\n"
      "# packages = []\n",
      comment(title), quoted(name), quoted(extends), quoted(appimage));
  out += "\n# How this profile is found again for a newer AppImage of the same application.\n[origin]\n";
  out += fmt::format("path = {}\n", quoted(facts.path));
  if (!facts.desktop_id.empty()) out += fmt::format("desktop_id = {}\n", quoted(facts.desktop_id));
  if (!facts.update_information.empty())
    out += fmt::format("update_information = {}\n", quoted(facts.update_information));
  return out;
}

Result<std::string> write_user_profile(const AppFacts& facts, const std::string& extends,
                                       const Surroundings& surroundings) {
  const std::string folder = surroundings.config_dir + "/profiles";
  ORCH_CHECK(sys::make_dirs(folder));
  const std::string wanted = profile_name_for(facts);
  const std::vector<std::string> taken = profile_names(surroundings);
  std::string name = wanted;
  for (int n = 2; std::find(taken.begin(), taken.end(), name) != taken.end(); ++n)
    name = fmt::format("{}-{}", wanted, n);
  ORCH_TRY(const std::string text, profile_text(facts, name, extends, facts.path));
  std::string path = folder + "/" + name + ".toml";
  ORCH_CHECK(sys::write_atomic(path, text));
  return path;
}

Result<> add_auto_overlay(const std::string& path) {
  ORCH_TRY(std::string text, sys::read_file(path));
  ORCH_TRY(const Value before, format::parse_toml_text(path, text));
  // Without overlays of its own the profile has those that it extends: "+" adds to them.
  const bool own = before.find_path("stack.deps") != nullptr;
  if (!text.empty() && text.back() != '\n') text += '\n';
  text += fmt::format(
      "\n# Packages for libraries that the application needs and the stack lacks; the lock file says which.\n"
      "[[stack.{}]]\nname = \"auto\"\nauto = true\n",
      own ? "deps" : "\"+deps\"");
  if (const auto after = format::parse_toml_text(path, text); !after)
    return base::fail(base::ErrorKind::profile,
                      fmt::format("'{}' has its overlays written so that none can be added behind them",
                                  base::printable(path)),
                      "add { name = \"auto\", auto = true } to stack.deps yourself");
  // A link to a profile stays one.
  ORCH_TRY(const std::string file, sys::real_path(path));
  ORCH_TRY(const struct stat info, sys::stat_file(file));
  return sys::write_atomic(file, text, sys::Sync::no, info.st_mode & 07777);
}

}  // namespace orch::load
