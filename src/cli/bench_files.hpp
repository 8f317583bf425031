// What is made of a benchmark's document: pictures, exports, and comparisons of two.
#pragma once

#include "base/value.hpp"
#include "cli/command.hpp"

#include <string>

namespace orch::cli {

// Paths; empty: not asked for.
struct BenchExports {
  std::string svg;
  std::string hyperfine;
};
void add_exports(CLI::App& command, BenchExports& exports);
// Fails where one of them cannot be written.
Result<> check_exports(const BenchExports& exports);
Result<> write_exports(const base::Value& document, const BenchExports& exports);

// Adds `compare` and `show`, subcommands of `bench`.
void add_bench_files(CLI::App& bench, Session& session);

}  // namespace orch::cli
