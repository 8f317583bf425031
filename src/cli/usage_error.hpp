// Mistakes on the command line, worded as every other error: what was wrong, and the nearest thing that
// exists.
#pragma once

#include "base/error.hpp"

#include <string>
#include <vector>

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace orch::cli {

// `words`: the command line without the program's name.
base::Error usage_error(const CLI::App& app, const CLI::ParseError& error,
                        const std::vector<std::string>& words);

}  // namespace orch::cli
