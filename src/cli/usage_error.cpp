#include "cli/usage_error.hpp"

#include "base/text.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace orch::cli {

using base::Error;
using base::ErrorKind;

namespace {

// The innermost subcommand that the words name.
const CLI::App* chosen(const CLI::App& app, const std::vector<std::string>& words) {
  const CLI::App* here = &app;
  for (const std::string& word : words) {
    const auto inner = here->get_subcommands([&](const CLI::App* sub) { return sub->get_name() == word; });
    if (!inner.empty()) here = inner.front();
  }
  return here;
}

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* level = &app; level != nullptr; level = level->get_parent())
    for (const CLI::Option* option : level->get_options())
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub :
       app.get_subcommands([](const CLI::App* sub) { return !sub->get_group().empty(); }))
    names.push_back(sub->get_name());
  return names;
}

bool takes_arguments(const CLI::App& app) {
  const auto positional = [](const CLI::Option* option) { return option->get_positional(); };
  return !app.get_options(positional).empty();
}

Error unknown_command(const std::string& word, const CLI::App& app) {
  const std::vector<std::string> names = command_names(app);
  const std::optional<std::string> near = base::nearest(word, names);
  return Error(ErrorKind::usage, fmt::format("there is no command '{}'", base::printable(word)),
               near ? fmt::format("did you mean '{}'?", *near)
                    : fmt::format("the commands are: {}", base::join(names, ", ")));
}

Error unknown_option(const std::string& word, const CLI::App& command, const std::string& help) {
  const std::string name = word.substr(0, word.find('='));
  const std::vector<std::string> names = option_names(command);
  const std::optional<std::string> near = base::nearest(name, names);
  return Error(ErrorKind::usage,
               fmt::format("'{}' has no option '{}'", command.get_name(), base::printable(name)),
               near ? fmt::format("did you mean '{}'?", *near) : help);
}

}  // namespace

Error usage_error(const CLI::App& app, const CLI::ParseError& error, const std::vector<std::string>& words) {
  const CLI::App* command = chosen(app, words);
  std::string path;
  for (const CLI::App* level = command; level != &app && level != nullptr; level = level->get_parent())
    path = level->get_name() + " " + path;
  const std::string help = fmt::format("'appimage-orch {}--help' says what there is", path);
  // Of a command with both, a word is as likely an argument.
  const bool takes_commands = !command_names(*command).empty() && !takes_arguments(*command);
  const auto known = option_names(*command);
  for (const std::string& word : words) {
    if (word == "--") break;
    const std::string name = word.substr(0, word.find('='));
    if (word.starts_with("--") && std::find(known.begin(), known.end(), name) == known.end())
      return unknown_option(word, *command, help);
    if (takes_commands && !word.starts_with('-') && word != command->get_name() &&
        error.get_name() != "ValidationError")
      return unknown_command(word, *command);
  }
  if (takes_commands && error.get_name() == "RequiredError")
    return Error(ErrorKind::usage, "a command is missing",
                 fmt::format("the commands are: {}", base::join(command_names(*command), ", ")));
  if (const auto extra = command->remaining(); error.get_name() == "ExtrasError" && !extra.empty())
    return Error(ErrorKind::usage, fmt::format("unexpected argument '{}'", base::printable(extra.front())),
                 command->get_name() == "run" ? "arguments of the application come after '--'" : help);
  std::string what = error.what();
  // "PROFILE: At most …" and "A is required" begin with a name.
  const auto is = [&](int (*kind)(int), std::size_t at) {
    return at < what.size() && kind(static_cast<unsigned char>(what[at])) != 0;
  };
  if (is(std::isupper, 0) && is(std::islower, 1))
    what[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(what[0])));
  return Error(ErrorKind::usage, what, help);
}

}  // namespace orch::cli
