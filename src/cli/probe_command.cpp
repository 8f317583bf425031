// appimage-orch probe: what an application would see of display, GPU and devices, asked in its own context.
#include "base/text.hpp"
#include "cli/ab.hpp"
#include "cli/app_build.hpp"
#include "cli/build_view.hpp"
#include "cli/command.hpp"
#include "cli/fields.hpp"
#include "cli/launch_app.hpp"
#include "cli/options.hpp"
#include "cli/probe_tools.hpp"
#include "cli/say.hpp"
#include "format/json.hpp"
#include "hash/digest.hpp"
#include "launch/muvm_command.hpp"
#include "probe/probe_report.hpp"
#include "sys/file.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <fcntl.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace orch::cli {

namespace {

using base::ErrorKind;
using base::fail;
using base::printable;
using base::Value;
using probe::ProbeKind;

struct ProbeArguments {
  ProfileArguments profile;
  std::string kind;
  std::string target;
  std::string out_dir;
  VariantArguments ab;
  bool no_tools = false;
  bool force = false;
  OutputFormat format = OutputFormat::text;
};

constexpr std::int64_t k_time_ms = 120'000;

Result<model::LaunchSpec> probe_spec(const Project& project, const model::LaunchSpec& app, ProbeKind kind,
                                     const std::string& mark) {
  model::LaunchSpec out = app;
  ORCH_TRY(out.entry, guest_shell(project, app));
  out.args = probe::probe_script(kind, app.launcher == "muvm" ? launch::k_guest_rootfs : "", mark);
  out.script_shell = "host";
  out.timeout_ms = k_time_ms;
  out.plain_input = out.plain_output = true;
  return out;
}

// What a tool said before it gave up.
std::string last_words_of_tool(std::string_view text) {
  text = base::trim(text);
  return printable(text.substr(text.rfind('\n') + 1));
}

void add_devices(std::string& out, const Value& report) {
  std::set<std::string> of_kinds;
  for (const Value& kind : report.find("kinds")->as_array()) {
    const std::string state = kind.string_or("state", "");
    std::vector<std::string> names;
    for (const Value& device : kind.find("devices")->as_array())
      if (device.is_string()) names.push_back(device.as_string());
    of_kinds.insert(names.begin(), names.end());
    const std::string list = printable(base::join(names, ", "));
    field(out, kind.string_or("name", ""),
          names.empty()      ? state
          : state == "there" ? list
                             : fmt::format("{}: {}", state, list));
  }
  for (const Value& device : report.find("devices")->as_array()) {
    const std::string name = device.string_or("name", "");
    const std::string what = device.string_or("what", "");
    if (!of_kinds.contains(name) && !of_kinds.contains(what))
      field(out, "device", printable(name + " " + what));
  }
}

std::string text_of(const Value& report) {
  std::string out;
  if (const Value& overlay = *report.find("overlay"); overlay.is_object())
    field(out, "tools",
          overlay.find("problem")->is_null()
              ? "of an overlay, below the stack"
              : "those of the stack alone: " + printable(overlay.string_or("problem", "")));
  for (const Value::Member& variable : report.find("variables")->as_object())
    field(out, variable.key, variable.value.is_string() ? printable(variable.value.as_string()) : "");
  if (const Value& display = *report.find("display"); display.is_object()) {
    if (!display.bool_or("as_promised", true))
      field(out, "DISPLAY",
            fmt::format("not the '{}' that the launcher promises", display.string_or("promised", "")));
    if (!display.bool_or("answers", true)) field(out, "X server", "does not answer");
  }
  if (const Value& server = *report.find("server"); server.is_object()) {
    field(out, "X server",
          fmt::format("{} {}", printable(server.string_or("vendor", "")),
                      printable(server.string_or("release", ""))));
    for (const Value& screen : server.find("screens")->as_array())
      field(out, "screen", fmt::format("{}x{}", screen.int_or("width", 0), screen.int_or("height", 0)));
    field(out, "extensions", fmt::format("{}", server.find("extensions")->as_array().size()));
  }
  for (const Value& renderer : report.find("renderers")->as_array()) {
    const std::string platform = renderer.string_or("platform", "");
    const std::string name = renderer.string_or("renderer", renderer.string_or("driver", "?"));
    const std::string version = renderer.string_or("version", "");
    field(out, renderer.string_or("api", "") + (platform.empty() ? "" : " " + platform),
          fmt::format("{}: {}{}{}", renderer.string_or("kind", ""), printable(name),
                      version.empty() ? "" : ", ", printable(version)));
  }
  for (const Value& platform : report.find("egl_failed")->as_array())
    field(out, "EGL " + printable(platform.is_string() ? platform.as_string() : ""),
          "could not be initialised");
  add_devices(out, report);
  for (const Value& tool : report.find("tools")->as_array())
    if (const std::string state = tool.string_or("state", ""); state != "ok") {
      const std::string last = last_words_of_tool(tool.string_or("text", ""));
      field(out, tool.string_or("tool", ""), last.empty() ? state : state + ": " + last);
    }
  return out;
}

// One probe, from its start to its evidence.
struct Probed {
  std::string directory;
  int status = 0;  // as `probe` ends
  Value report;    // null where the application's place was never taken
};

std::string app_of(const model::Profile& profile, const ProbeArguments& arguments) {
  return fmt::format("{}-probe-{}", profile.name, arguments.kind);
}

// The tools that the stack lacks, as an image below all of its own: what both have is the stack's. Where that cannot be made the
// probe goes on without, and says so.
ProbeTools add_tools(const Session& session, Project& project, const ProjectOptions& options, ProbeKind kind,
                     model::LaunchSpec& spec, AppRun& app) {
  const Result<std::vector<std::string>> lacking = lacking_tools(session, spec.images, kind);
  ProbeTools out;
  if (lacking && !lacking->empty()) out = make_tools_overlay(session, project, options, kind, *lacking);
  if (!lacking) out.overlay.problem = base::one_line(lacking.error());
  if (out.image) spec.images.insert(spec.images.begin(), *out.image);
  if (!out.overlay.problem.empty())
    app.warn({fmt::format("no overlay has {} for this probe: {}",
                          lacking ? base::join(*lacking, ", ") : "the tools", out.overlay.problem)});
  return out;
}

// What the script printed, as far as it came: a tool may have taken the shell, the VM or the time with it.
Result<> take_output(const Session& session, const model::LaunchSpec& spec, ProbeKind kind,
                     const std::string& mark, const probe::ToolsOverlay& overlay, Probed& out) {
  ORCH_TRY(const std::string log, sys::read_file(out.directory + "/run.log"));
  const probe::ProbeOutput output = probe::parse_probe_output(log, mark);
  if (!output.begun) return {};
  const bool bridged = spec.launcher == "muvm" && !sys::variable(session.environment, "DISPLAY").empty();
  out.report = probe::probe_report(kind, output, bridged ? ":1" : "", overlay);
  ORCH_CHECK(sys::write_atomic(out.directory + "/probe.json", format::to_json(out.report)));
  return {};
}

Result<Probed> probe_once(const Session& session, const ProbeArguments& arguments, ProbeKind kind,
                          const LaunchOverrides& overrides) {
  ProjectOptions options = arguments.profile.to_options();
  options.overrides.verify = "off";  // the application's own needs are not what is asked
  ORCH_TRY(const std::unique_ptr<Project> project, Project::open(session, options));
  ORCH_CHECK(load::require_app(project->profiles().front()));
  const sys::Fd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  RunStart start = run_start_of(*project, app_of(project->profiles().front(), arguments), arguments.out_dir,
                                arguments.force);
  start.input = start.output = nothing.get();
  ORCH_TRY(AppRun app, AppRun::begin(session, start));
  Probed out;
  out.directory = app.directory();
  const auto ended = [&out](Result<int> status) -> Result<Probed> {
    ORCH_TRY(out.status, std::move(status));
    return out;
  };
  AppBuild built = build_app(session, *project, overrides);
  if (built.interrupted != 0) return ended(app.interrupted(built.interrupted));
  if (built.error) return ended(app.build_failed(*built.error, built.shown));
  ProbeTools tools;
  if (!arguments.no_tools) tools = add_tools(session, *project, options, kind, *built.spec, app);
  app.end_phase("build");
  if (tools.interrupted != 0) return ended(app.interrupted(tools.interrupted));
  const std::string mark = "probe" + hash::digest_of(app.directory()).hex().substr(0, 12);
  const Result<model::LaunchSpec> spec = probe_spec(*project, *built.spec, kind, mark);
  if (!spec) return ended(app.build_failed(spec.error()));
  ORCH_TRY(out.status, app.launch(*spec));
  ORCH_CHECK(take_output(session, *spec, kind, mark, tools.overlay, out));
  if (out.status == 0) out.status = !out.report.is_null() && out.report.bool_or("complete", false) ? 0 : 1;
  return out;
}

Result<int> run_probe(const Session& session, const ProbeArguments& arguments, ProbeKind kind) {
  ORCH_TRY(const Probed probed, probe_once(session, arguments, kind, {}));
  if (!probed.report.is_null())
    ORCH_CHECK(print_out(arguments.format == OutputFormat::json ? format::to_json(probed.report)
                                                                : text_of(probed.report)));
  return probed.status;
}

Result<int> run_ab(const Session& session, const ProbeArguments& arguments, ProbeKind kind) {
  ProjectOptions options = arguments.profile.to_options();
  options.overrides.verify = "off";
  ORCH_TRY(const std::unique_ptr<Project> project, Project::open(session, std::move(options)));
  const model::Profile& profile = project->profiles().front();
  ORCH_CHECK(load::require_app(profile));
  AbRequest request;
  request.kind = arguments.kind;
  request.app = app_of(profile, arguments);
  request.variants = arguments.ab;
  request.out_dir = arguments.out_dir;
  request.force = arguments.force;
  request.format = arguments.format;
  return compare_variants(session, profile, request,
                          [&](const VariantSetting& setting, const std::string& directory) -> Result<AbEnd> {
                            ProbeArguments one = arguments;
                            one.out_dir = directory;
                            LaunchOverrides overrides;
                            apply(setting, one.profile, overrides);
                            ORCH_TRY(Probed probed, probe_once(session, one, kind, overrides));
                            return AbEnd{probed.status, std::move(probed.report)};
                          });
}

}  // namespace

void add_probe(CLI::App& app, Session& session) {
  const auto arguments = std::make_shared<ProbeArguments>();
  CLI::App* command = app.add_subcommand(
      "probe",
      "ask display, GPU or devices in the application's context: same stack, launcher and environment");
  command->footer(
      "The tools are those of the stack; of those that it lacks an overlay is built for probes alone. The "
      "exit "
      "status is 0 if\nevery tool was there and answered, 1 if not, else as 'run'. The evidence has "
      "probe.json.");
  command->add_option("KIND", arguments->kind, "display, gpu or devices")
      ->required()
      ->check(CLI::IsMember({"display", "gpu", "devices"}));
  command->add_option("PROFILE", arguments->target,
                      "a profile (.toml file, or name; default: ./profile.toml)");
  add_profile_arguments(*command, arguments->profile, Positional::no);
  add_variants(*command, arguments->ab, "one probe for each of these");
  add_save(*command, arguments->ab);
  command->add_flag("--no-tools", arguments->no_tools,
                    "build no overlay of the tools: what the stack has by itself");
  command->add_option("--out-dir", arguments->out_dir, "leave the evidence directly in this directory");
  command->add_flag("--force", arguments->force,
                    "go on where a check failed; use a directory that is not empty");
  add_format(*command, arguments->format);
  command->callback([&session, arguments] {
    session.action = [&session, arguments]() -> Result<int> {
      ORCH_CHECK(check_save(arguments->ab));
      if (!arguments->target.empty()) arguments->profile.profiles.push_back(arguments->target);
      const ProbeKind kind = *probe::parse_probe_kind(arguments->kind);
      return arguments->ab.any() ? run_ab(session, *arguments, kind) : run_probe(session, *arguments, kind);
    };
  });
}

}  // namespace orch::cli
