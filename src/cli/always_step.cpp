#include "cli/always_step.hpp"

#include "base/text.hpp"
#include "cli/launch_app.hpp"
#include "cli/launch_spec.hpp"
#include "cli/stack_report.hpp"
#include "hash/stat_cache.hpp"
#include "launch/launcher.hpp"
#include "store/store.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <unistd.h>

namespace orch::cli {

using base::ErrorKind;
using base::fail;
using base::Value;

namespace {

Result<std::vector<LaunchInput>> inputs_of(const model::StepSpec& spec, const store::BuildFolder& folder,
                                           hash::StatCache& stat_cache) {
  const store::Store store(spec.store);
  std::vector<LaunchInput> out;
  for (const model::SpecInput& input : spec.inputs) {
    LaunchInput item{input.name, input.path, {}, {}};
    if (input.upstream.empty()) {
      ORCH_TRY(const hash::Sha256 sha256, stat_cache.sha256(input.path));
      item.sha256 = sha256.hex();
    } else {
      const store::BuildFolder::StampFile stamp = folder.read_stamp(input.upstream);
      if (!stamp.stamp)
        return fail(ErrorKind::step, fmt::format("step '{}' is not built", input.upstream),
                    "run 'appimage-orch build' first");
      const std::vector<model::OutputRecord>& outputs = stamp.stamp->outputs;
      for (std::size_t i = 0; i < outputs.size(); ++i) {
        if (outputs[i].name != input.output) continue;
        ORCH_TRY(item, input_of(input.name, outputs, i, store));
      }
    }
    out.push_back(std::move(item));
  }
  return out;
}

Result<int> preflight(const model::LaunchSpec& launch_spec, const Session& session) {
  sys::SystemProcessRunner processes;
  const launch::Host host = launch_host(session, processes, launch_spec);
  ORCH_TRY(const std::unique_ptr<launch::Launcher> launcher,
           launch::make_launcher(launch_spec.launcher, host));
  int status = 0;
  for (const launch::Check& check : launcher->check(launch_spec)) {
    std::string line = fmt::format("{:<8} {}: {}\n", launch::to_string(check.status), check.id, check.detail);
    if (!check.remedy.empty()) line += fmt::format("         hint: {}\n", check.remedy);
    ORCH_CHECK(sys::write_all(STDOUT_FILENO, line, "standard output"));
    if (check.status == launch::Check::Status::failed) status = 1;
  }
  return status;
}

std::string path_of(const std::vector<LaunchInput>& inputs, std::string_view name) {
  for (const LaunchInput& input : inputs)
    if (input.name == name) return input.path;
  return {};
}

}  // namespace

bool is_always_step(const model::StepSpec& spec) {
  return spec.builtin == "preflight" || spec.builtin == "launch";
}

Result<int> run_always_step(const model::StepSpec& spec, const store::BuildFolder& folder,
                            const Session& session) {
  hash::StatCache stat_cache(spec.stat_cache);
  ORCH_TRY(const std::vector<LaunchInput> inputs, inputs_of(spec, folder, stat_cache));
  ORCH_TRY(model::LaunchSpec launch_spec, launch_spec_from(spec.settings, inputs, {}));
  take_automatic_gpu_mode(session, launch_spec);
  if (spec.builtin == "preflight") return preflight(launch_spec, session);
  if (!launch_spec.appimage.empty()) {
    ORCH_TRY(const hash::Sha256 sha256, stat_cache.sha256(launch_spec.appimage));
    launch_spec.appimage_sha256 = sha256.hex();
  }
  RunStart start;
  start.app = launch_spec.app;
  start.profile = launch_spec.app;
  start.expanded = spec.settings;
  start.paths = Value::object({{"build_folder", folder.path()}});
  if (const Value* evidence = spec.settings.find("evidence"))
    start.evidence_setting = evidence->string_or("dir", "auto");
  ORCH_TRY(AppRun run, AppRun::begin(session, start));
  ORCH_TRY(const Value report, stack_report(path_of(inputs, "verify"), path_of(inputs, "check")));
  const Value* verify = spec.settings.find("verify");
  run.set_stack(report, verify != nullptr ? verify->string_or("mode", "stop") : "stop");
  return run.launch(launch_spec);
}

}  // namespace orch::cli
