// appimage-orch step: what the edges of a generated ninja file call; not for people.
#include "cli/command.hpp"
#include "cli/step_runner.hpp"

#include <CLI/CLI.hpp>

#include <memory>

namespace orch::cli {

void add_step(CLI::App& app, Session& session) {
  const auto path = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("step", "bring one step of a generated ninja file up to date");
  command->group("");  // not listed in the help
  command->add_option("SPEC", *path, "steps/ID.json in a build folder")->required();
  command->callback(
      [&session, path] { session.action = [&session, path] { return run_step(*path, session); }; });
}

}  // namespace orch::cli
