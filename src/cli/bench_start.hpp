// One start of a benchmark, measured.
#pragma once

#include "cli/command.hpp"
#include "cli/options.hpp"
#include "cli/variants.hpp"
#include "model/launch.hpp"
#include "probe/bench.hpp"
#include "probe/readiness.hpp"

#include <optional>
#include <string>
#include <vector>

namespace orch::cli {

// What all starts of a benchmark have in common.
struct BenchWhat {
  ProfileArguments profile;
  std::string command;                 // for the shell of the stack; empty: the application
  std::vector<std::string> arguments;  // of the application, behind the profile's
  probe::Readiness ready;
  std::int64_t timeout_ms = 0;
  bool force = false;
};

struct BenchVariant {
  std::string name;  // empty: the profile as it is
  std::optional<VariantSetting> setting;
};

// Builds what is not built yet, as `run` does it.
struct BenchStack {
  std::string profile;   // name
  std::string launcher;  // "native" or "muvm"
  std::string appdir;
  std::vector<model::LaunchImage> images;
  std::string evidence_setting;  // [evidence] dir
  bool complete = false;         // else it was told why
  int interrupted = 0;           // the signal
};
Result<BenchStack> prepare_bench(const Session& session, const BenchWhat& what);
// What a cold start must not find in memory: the application's files, the images, and what the native launcher has made of them.
std::vector<std::string> files_of(const Session& session, const BenchStack& stack);

struct BenchRun {
  probe::Measured measured;  // without its Start
  int signal = 0;            // by which the benchmark was asked to end; 0
};
// Everything that `run` does, in this process, with the output hidden; `directory` gets its evidence.
Result<BenchRun> measure_start(const Session& session, const BenchWhat& what, const BenchStack& stack,
                               const BenchVariant& variant, const std::string& directory);

}  // namespace orch::cli
