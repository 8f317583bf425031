// appimage-orch evidence show: one run on a page.
#include "base/text.hpp"
#include "cli/ab.hpp"
#include "cli/bench_view.hpp"
#include "cli/evidence_command.hpp"
#include "cli/fields.hpp"
#include "cli/options.hpp"
#include "evidence/moments.hpp"
#include "evidence/run_list.hpp"
#include "format/json.hpp"
#include "probe/bench_results.hpp"
#include "sys/clock.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <fcntl.h>

#include <algorithm>
#include <memory>

namespace orch::cli {

namespace {

using base::printable;
using base::Value;
using evidence::Run;
using evidence::RunState;
using evidence::RunSummary;

struct ShowArguments {
  std::string run;
  std::string dir;
  OutputFormat format = OutputFormat::text;
};

const Value k_none;

const Value& at(const Value& document, std::string_view path) {
  const Value* value = document.find_path(path);
  return value != nullptr ? *value : k_none;
}

const Value::Array& items(const Value& document, std::string_view path) {
  static const Value::Array k_empty;
  const Value& list = at(document, path);
  return list.is_array() ? list.as_array() : k_empty;
}

const Value::Object& members(const Value& document, std::string_view path) {
  static const Value::Object k_empty;
  const Value& object = at(document, path);
  return object.is_object() ? object.as_object() : k_empty;
}

// Any value for a person: texts as they are, of an object its parts.
std::string words(const Value& value) {
  if (value.is_null()) return {};
  if (value.is_string()) return printable(value.as_string());
  std::vector<std::string> parts;
  if (value.is_array())
    for (const Value& item : value.as_array()) parts.push_back(words(item));
  else if (value.is_object())
    for (const Value::Member& member : value.as_object())
      if (!words(member.value).empty()) parts.push_back(printable(member.key) + " " + words(member.value));
  if (!value.is_array() && !value.is_object()) return std::string(base::trim(format::to_json(value)));
  return base::join(parts, ", ");
}

std::string text_at(const Value& document, std::string_view path) {
  return words(at(document, path));
}

void field_if(std::string& out, std::string_view label, const std::string& text) {
  if (!text.empty()) field(out, label, text);
}

// A list of texts, or of objects whose parts are texts: warnings, advice.
void list_section(std::string& out, std::string_view title, const Value::Array& list) {
  if (list.empty()) return;
  out += fmt::format("\n{}\n", title);
  for (const Value& item : list) wrapped(out, "  - ", words(item));
}

std::string sentence(const RunSummary& run) {
  const std::string signal = run.signal ? sys::signal_name(static_cast<int>(*run.signal)) : "a signal";
  switch (run.state) {
    case RunState::running:
      return "it is running";
    case RunState::killed:
      return "interrupted: appimage-orch was killed while it ran (the report still says \"running\", and "
             "nobody holds "
             "the run's lock)";
    case RunState::damaged:
      return "not known: " + printable(run.problem);
    case RunState::ended:
      break;
  }
  if (run.outcome == "exited")
    return fmt::format("the application ended with status {}",
                       run.status ? std::to_string(*run.status) : "?");
  if (run.outcome == "signaled") return fmt::format("the application was ended by {}", signal);
  if (run.outcome == "timed_out") return "the application was ended, because its time was up";
  if (run.outcome == "interrupted") return fmt::format("interrupted by {}", signal);
  if (run.outcome == "launch_failed") return "the application could not be started";
  if (run.outcome == "preflight_failed") return "refused before the launch, by a check";
  return "not started, because the build failed";
}

void what_section(std::string& out, const Run& run) {
  out += "\nwhat\n";
  field_if(out, "application", text_at(run.report, "app.path"));
  field_if(out, "sha256", text_at(run.report, "app.sha256"));
  field(out, "profile", printable(run.summary.app));
  for (const Value& link : items(run.inputs, "paths.chain")) field(out, "", words(link));
  field_if(out, "directory", text_at(run.inputs, "paths.directory"));
}

bool is_true(const Value& value) {
  return value.is_bool() && value.as_bool();
}

// What the launcher started in the end, with the application's arguments.
std::string program_of(const Run& run) {
  const Value& launch = at(run.inputs, "launch");
  if (!launch.is_object()) return {};
  const std::string entry = launch.string_or("entry", "");
  std::vector<std::string> out = {entry.empty() ? launch.string_or("appdir", "") + "/AppRun" : entry};
  for (const Value& word : items(launch, "args"))
    out.push_back(word.is_string() ? word.as_string() : words(word));
  return printable(base::shell_join(out));
}

// As a line for a shell. Of a script among the words, such as the one that muvm's guest gets, only that it is there: the
// report has it.
std::string command_of(const Run& run) {
  std::vector<std::string> argv;
  for (const Value& word : items(run.report, "argv"))
    argv.push_back(word.is_string() ? word.as_string() : words(word));
  std::vector<std::string> out;
  for (const std::string& word : argv) {
    const bool script = !out.empty() && out.back() == "-c" && word.find('\n') != std::string::npos;
    out.push_back(script ? "…" : base::shell_quote(word));
  }
  return printable(base::join(out, " "));
}

// What inputs.json says of how an image was made.
std::string made_of(const Run& run, const Value& image) {
  const std::string digest = image.string_or("digest", "");
  for (const Value& manifest : items(run.inputs, "manifests")) {
    if (digest.empty() || manifest.string_or("image", "") != digest) continue;
    const std::size_t packages = items(manifest, "content.packages").size();
    const std::string tool = text_at(manifest, "content.tool");
    std::vector<std::string> parts;
    if (packages > 0) parts.push_back("of " + base::quantity(packages, "package", "packages"));
    if (!tool.empty()) parts.push_back("by " + tool);
    return base::join(parts, ", ");
  }
  return {};
}

void with_section(std::string& out, const Run& run) {
  if (run.report.is_null() && run.inputs.is_null()) return;
  out += "\nwith\n";
  const std::string version = text_at(run.report, "tool_version").empty()
                                  ? text_at(run.inputs, "tool_version")
                                  : text_at(run.report, "tool_version");
  field_if(out, "launcher", text_at(run.report, "launcher"));
  if (is_true(at(run.report, "vm_reused"))) field(out, "", "in a VM that was running already");
  field_if(out, "program", program_of(run));
  field_if(out, "command", command_of(run));
  std::string_view label = "variables";
  const Value::Array& argv = items(run.report, "argv");
  for (const Value::Member& variable : members(run.report, "environment")) {
    const std::string setting = variable.key + "=" + words(variable.value);
    if (std::find(argv.begin(), argv.end(), Value(setting)) != argv.end()) continue;  // muvm's -e
    field(out, label, printable(setting));
    label = "";
  }
  const bool others = is_true(at(run.report, "vm_reused")) && text_at(run.inputs, "launch.vm") == "shared";
  if (others) field(out, "", "its images and GPU mode hold; these were asked for:");
  label = "images";
  for (const Value& image : items(run.report, "images")) {
    out += fmt::format("  {:<12}{:<7} {}\n", label, printable(image.string_or("role", "")),
                       printable(image.string_or("path", "")));
    field_if(out, "", text_at(image, "digest"));
    field_if(out, "", made_of(run, image));
    label = "";
  }
  field_if(out, "tools", version.empty() ? "" : "appimage-orch " + version);
  for (const Value& tool : items(run.inputs, "tools"))
    field(out, "",
          fmt::format("{} {}{}{}", text_at(tool, "name"), text_at(tool, "version"),
                      text_at(tool, "version").empty() ? "" : ", ",
                      text_at(tool, "path").empty() ? "not found" : text_at(tool, "path")));
  label = "packages";
  for (const Value& package : items(run.inputs, "packages")) {
    field(out, label, fmt::format("{} {}", text_at(package, "name"), text_at(package, "version")));
    label = "";
  }
  const Value& host = at(run.inputs, "host");
  if (!host.is_object()) return;
  field_if(out, "host", text_at(host, "os"));
  field_if(out, "", "kernel " + text_at(host, "kernel"));
  field(out, "",
        fmt::format("{}, {} processors, {}, pages of {}", text_at(host, "machine"), text_at(host, "cpus"),
                    base::human_size(static_cast<std::uint64_t>(host.int_or("memory_bytes", 0))),
                    base::human_size(static_cast<std::uint64_t>(host.int_or("page_size", 0)))));
}

void end_section(std::string& out, const Run& run) {
  const RunSummary& summary = run.summary;
  out += "\nhow it ended\n";
  field(out, "outcome", sentence(summary));
  if (summary.exit_status) field(out, "status", fmt::format("'run' ended with {}", *summary.exit_status));
  field_if(out, "known by", text_at(run.report, "determined_by"));
  if (summary.outcome != "exited") field_if(out, "seen", text_at(run.report, "raw"));
  if (summary.started) field(out, "began", evidence::local_time(*summary.started));
  if (summary.seconds) field(out, "took", base::human_seconds(*summary.seconds));
  std::vector<std::string> phases;
  for (const Value& phase : items(run.report, "phases")) {
    const Value* seconds = phase.find("seconds");
    if (seconds != nullptr && (seconds->is_double() || seconds->is_int()))
      phases.push_back(text_at(phase, "name") + " " + base::human_seconds(seconds->as_double()));
  }
  field_if(out, "phases", base::join(phases, ", "));
  for (const Value& check : items(run.report, "checks"))  // warnings have a section of their own
    if (check.string_or("status", "") == "failed")
      field(out, "check", fmt::format("{} failed: {}", text_at(check, "id"), text_at(check, "detail")));
  const Value& error = at(run.report, "error");
  if (!error.is_object()) return;
  field_if(out, "error", text_at(error, "what"));
  field_if(out, "at", text_at(error, "where"));
}

// The hint of the error is among the advice, mostly.
void advice_section(std::string& out, const Run& run) {
  Value::Array advice = items(run.report, "advice");
  const Value& hint = at(run.report, "error.hint");
  const auto same = [&](const Value& item) { return words(item) == words(hint); };
  if (hint.is_string() && !std::any_of(advice.begin(), advice.end(), same))
    advice.insert(advice.begin(), hint);
  list_section(out, "what to do next", advice);
}

// The last lines of run.log as a terminal would have left them: of a line that was written over, the last state.
void log_section(std::string& out, const std::string& directory) {
  constexpr std::size_t k_lines = 10;
  constexpr std::uint64_t k_bytes = 16 * 1024;
  const std::string path = directory + "/run.log";
  const sys::Result<sys::Fd> log = sys::open_file(path, O_RDONLY | O_NONBLOCK);
  const sys::Result<struct stat> info = sys::stat_file(path);
  if (!log || !info || !S_ISREG(info->st_mode)) return;
  const auto size = static_cast<std::uint64_t>(info->st_size);
  const std::uint64_t start = size > k_bytes ? size - k_bytes : 0;
  const sys::Result<std::string> bytes = sys::read_at(log->get(), start, k_bytes, path);
  if (!bytes) return;
  std::vector<std::string_view> lines = base::split(*bytes, '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  if (start > 0 && !lines.empty()) lines.erase(lines.begin());
  const std::size_t first = lines.size() > k_lines ? lines.size() - k_lines : 0;
  out += fmt::format("\nlog ({}{})\n", base::human_size(size),
                     start > 0 || first > 0
                         ? fmt::format(", its last {}", base::quantity(lines.size() - first, "line", "lines"))
                         : "");
  for (std::size_t i = first; i < lines.size(); ++i) {
    std::string_view line = lines[i];
    while (line.ends_with('\r')) line.remove_suffix(1);
    if (const std::size_t over = line.rfind('\r'); over != std::string_view::npos)
      line.remove_prefix(over + 1);
    out += "  | " + printable(line) + "\n";
  }
}

std::string show_text(const Run& run) {
  std::string out =
      fmt::format("{}: {}\n", printable(run.summary.name), evidence::outcome_words(run.summary));
  field(out, "evidence", printable(run.summary.path));
  what_section(out, run);
  with_section(out, run);
  end_section(out, run);
  list_section(out, "warnings", items(run.report, "warnings"));
  advice_section(out, run);
  if (!run.inputs_problem.empty())
    out += fmt::format("\nwhat it was started with is not known: {}\n", printable(run.inputs_problem));
  log_section(out, run.summary.path);
  return out;
}

// An A/B: what its diff.json says; each variant is a run with a page of its own.
std::string comparison_text(const Run& run) {
  const RunSummary& summary = run.summary;
  std::string out = fmt::format("{}: {}\n", printable(summary.name), evidence::outcome_words(summary));
  field(out, "evidence", printable(summary.path));
  field(out, "profile", printable(summary.app));
  field_if(out, "kind", text_at(run.comparison, "kind"));
  if (summary.started) field(out, "began", evidence::local_time(*summary.started));
  if (summary.seconds) field(out, "took", base::human_seconds(*summary.seconds));
  out += "\nvariants\n";
  for (const Value& variant : items(run.comparison, "variants"))
    wrapped(out, fmt::format("  {}  ", printable(sys::file_name(variant.string_or("directory", "")))),
            fmt::format("{}: {}, status {}", text_at(variant, "name"), text_at(variant, "outcome"),
                        text_at(variant, "exit_status")));
  return out + "\n" + ab_text(run.comparison);
}

std::string benchmark_text(const Run& run) {
  const std::string defect = probe::defect_of(run.benchmark);
  if (defect.empty()) return bench_text(run.benchmark);
  std::string out;
  wrapped(out, "",
          fmt::format("'{}/bench.json' is damaged: {}", printable(run.summary.path), printable(defect)));
  return out;
}

Value show_value(const Run& run) {
  const std::string& problem = run.summary.problem.empty() ? run.inputs_problem : run.summary.problem;
  return Value::object({{"schema", "appimage-orch/evidence-show/1"},
                        {"name", run.summary.name},
                        {"directory", run.summary.path},
                        {"state", evidence::to_string(run.summary.state)},
                        {"problem", base::or_null(problem)},
                        {"inputs", run.inputs},
                        {"report", run.report},
                        {"comparison", run.comparison},
                        {"benchmark", run.benchmark}});
}

Result<int> show(const Session& session, const ShowArguments& arguments) {
  ORCH_TRY(const std::string root, evidence_place(session, arguments.dir));
  ORCH_TRY(const Run run, evidence::find_run(root, arguments.run, sys::SystemClock().now()));
  const bool as_json = arguments.format == OutputFormat::json;
  const bool is_ab = !run.comparison.is_null();
  const bool is_benchmark = !run.benchmark.is_null();
  ORCH_CHECK(print_out(as_json        ? format::to_json(show_value(run))
                       : is_ab        ? comparison_text(run)
                       : is_benchmark ? benchmark_text(run)
                                      : show_text(run)));
  return 0;
}

}  // namespace

void add_evidence_show(CLI::App& evidence, Session& session) {
  const auto arguments = std::make_shared<ShowArguments>();
  CLI::App* command =
      evidence.add_subcommand("show", "one run on a page: what, with what, how it ended, what to do");
  command
      ->add_option("RUN", arguments->run,
                   "its directory; or an application (its newest run), APPLICATION/STAMP, or the beginning "
                   "of one of these")
      ->required();
  add_evidence_dir(*command, arguments->dir);
  add_format(*command, arguments->format);
  command->callback([&session, arguments] {
    session.action = [&session, arguments] { return show(session, *arguments); };
  });
}

}  // namespace orch::cli
