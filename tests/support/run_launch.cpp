// Runs a launch that a JSON file describes, with its evidence: what `run` does after the build, without
// profile and store. run-launch SPEC.json CACHE EVIDENCE [OUT_DIR [--force]]; with "--describe SPEC.json
// CACHE": prints the launch object.
#include "cli/launch_app.hpp"
#include "format/json.hpp"
#include "sys/file.hpp"

#include <cstdio>

using namespace orch;

namespace {

base::Result<int> describe(const model::LaunchSpec& spec, const std::string& cache) {
  sys::SystemProcessRunner processes;
  const launch::Host host = launch::this_host(sys::current_environment(), cache, processes);
  ORCH_TRY(const auto launcher, launch::make_launcher(spec.launcher, host));
  std::fputs(format::to_json(launcher->describe(spec)).c_str(), stdout);
  return 0;
}

base::Result<int> run(const std::vector<std::string>& words) {
  const bool describe_only = words[0] == "--describe";
  const std::string file = words[describe_only ? 1 : 0];
  const std::string cache = words[describe_only ? 2 : 1];
  ORCH_TRY(const std::string text, sys::read_file(file));
  ORCH_TRY(const base::Value value, format::parse_json(text, file));
  ORCH_TRY(const model::LaunchSpec spec, model::launch_from_value(value, file));
  if (describe_only) return describe(spec, cache);
  cli::Session session;
  session.environment = sys::current_environment();
  session.cache_dir = cache;
  session.state_dir = words[2];
  cli::RunStart start;
  start.app = spec.app;
  start.profile = "test";
  start.evidence_setting = words[2];
  if (words.size() > 3) start.out_dir = words[3];
  start.force = words.size() > 4;
  ORCH_TRY(cli::AppRun app, cli::AppRun::begin(session, start));
  app.end_phase("build");
  return app.launch(spec);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() < 3) return 2;
  const base::Result<int> status = run(words);
  if (status) return *status;
  std::fputs(render(status.error()).c_str(), stderr);
  return 125;
}
