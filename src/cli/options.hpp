// Options that several commands have, defined once: their names, help and meaning cannot drift apart.
#pragma once

#include "cli/project.hpp"

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace orch::cli {

// What --profile, the PROFILE arguments and the overrides said.
struct ProfileArguments {
  std::vector<std::string> profiles;
  std::string profile;  // --profile NAME
  std::string appimage;
  std::vector<std::string> images;
  std::string muvm;
  std::string launcher;
  std::string gpu_mode;
  bool rebuild = false;

  ProjectOptions to_options() const;
};

// Adds PROFILE… (unless `positional` is no) and the overrides of section 3 of the design.
enum class Positional { no, one, many };
void add_profile_arguments(CLI::App& command, ProfileArguments& arguments, Positional positional);

// Adds --rebuild.
void add_rebuild(CLI::App& command, ProfileArguments& arguments);

enum class OutputFormat { text, json, dot, mermaid };
// --format; `graph` admits dot and mermaid.
enum class GraphFormats { no, yes };
void add_format(CLI::App& command, OutputFormat& format, GraphFormats graph = GraphFormats::no);

// Prints to standard output, all or an Error (a closed pipe is one that main does not speak of).
Result<> print_out(const std::string& text);

}  // namespace orch::cli
