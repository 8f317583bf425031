#include "cli/options.hpp"

#include <CLI/CLI.hpp>

#include <unistd.h>

#include <map>
#include <memory>

namespace orch::cli {

ProjectOptions ProfileArguments::to_options() const {
  ProjectOptions options;
  options.profiles = profiles;
  if (!profile.empty()) options.profiles.push_back(profile);
  const auto set = [](std::optional<std::string>& target, const std::string& text) {
    if (!text.empty()) target = text;
  };
  set(options.overrides.appimage, appimage);
  set(options.overrides.muvm, muvm);
  set(options.overrides.launcher, launcher);
  set(options.overrides.gpu_mode, gpu_mode);
  options.overrides.images = images;
  options.rebuild = rebuild;
  return options;
}

void add_rebuild(CLI::App& command, ProfileArguments& arguments) {
  command.add_flag("--rebuild", arguments.rebuild,
                   "build the images whose finished form the lock file knows, rather than take them");
}

void add_profile_arguments(CLI::App& command, ProfileArguments& arguments, Positional positional) {
  if (positional != Positional::no) {
    CLI::Option* option =
        command.add_option("PROFILE", arguments.profiles,
                           "a .toml file, or the name of a user's or built-in profile (default: "
                           "./profile.toml)");
    if (positional == Positional::one) option->expected(0, 1);
  }
  command.add_option("--profile", arguments.profile, "the same as PROFILE")->type_name("NAME");
  command.add_option("--appimage", arguments.appimage, "this AppImage in place of the profile's")
      ->type_name("FILE");
  command
      .add_option("--image", arguments.images, "a ready-made EROFS image on top of the stack (repeatable)")
      ->type_name("FILE")
      ->allow_extra_args(false);
  command.add_option("--muvm", arguments.muvm, "this muvm in place of the one on PATH")->type_name("FILE");
  command.add_option("--launcher", arguments.launcher, "auto, muvm or native")
      ->type_name("NAME")
      ->check(CLI::IsMember({"auto", "muvm", "native"}));
  command.add_option("--gpu-mode", arguments.gpu_mode, "auto, drm, venus or software")
      ->type_name("MODE")
      ->check(CLI::IsMember({"auto", "drm", "venus", "software"}));
}

void add_format(CLI::App& command, OutputFormat& format, GraphFormats graph) {
  std::map<std::string, OutputFormat> names = {{"text", OutputFormat::text}, {"json", OutputFormat::json}};
  std::string help = "text or json";
  if (graph == GraphFormats::yes) {
    names.emplace("dot", OutputFormat::dot);
    names.emplace("mermaid", OutputFormat::mermaid);
    help = "text, json, dot or mermaid";
  }
  std::vector<std::string> words;
  for (const auto& [word, value] : names) words.push_back(word);
  command
      .add_option_function<std::string>(
          "--format", [&format, names](const std::string& word) { format = names.at(word); }, help)
      ->type_name("FORMAT")
      ->check(CLI::IsMember(words));
}

Result<> print_out(const std::string& text) {
  return sys::write_all(STDOUT_FILENO, text, "standard output");
}

}  // namespace orch::cli
