// How a command hangs on the command line: one file per command, each defines one add_NAME function.
#pragma once

#include "base/result.hpp"
#include "sys/process.hpp"

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace orch::cli {

using base::Result;

enum class Verbosity { quiet, normal, verbose };

// Options that every command has, and the process's surroundings, read once by main.
struct Session {
  Verbosity verbosity = Verbosity::normal;
  bool colour = false;     // of standard error, decided from --color, NO_COLOR, TERM and the terminal
  std::string cache_dir;   // absolute
  std::string state_dir;   // absolute; stat cache and evidence
  std::string config_dir;  // absolute; user profiles and rules
  std::string data_dir;    // shipped rules and profiles
  std::string self;        // this binary, absolute
  sys::Environment environment;
  std::vector<std::string>
      application_arguments;  // what follows "--" on the command line of `run` and `bench`
  // Set by the chosen subcommand while the command line is parsed; main calls it. The value is the exit
  // status.
  std::function<Result<int>()> action;
};

// Each adds its subcommand to `app`. `session` outlives the parse and the action.
void add_inspect(CLI::App& app, Session& session);
void add_plan(CLI::App& app, Session& session);
void add_build(CLI::App& app, Session& session);
void add_run(CLI::App& app, Session& session);
void add_verify(CLI::App& app, Session& session);
void add_lock(CLI::App& app, Session& session);
void add_probe(CLI::App& app, Session& session);
void add_bench(CLI::App& app, Session& session);
void add_doctor(CLI::App& app, Session& session);
void add_evidence(CLI::App& app, Session& session);
void add_cache(CLI::App& app, Session& session);
void add_step(CLI::App& app, Session& session);  // internal: what ninja calls

}  // namespace orch::cli
