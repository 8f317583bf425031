// appimage-orch evidence diff: what is different about two runs.
#include "base/text.hpp"
#include "cli/evidence_command.hpp"
#include "cli/options.hpp"
#include "cli/output_file.hpp"
#include "cli/say.hpp"
#include "evidence/run_diff.hpp"
#include "evidence/run_list.hpp"
#include "format/json.hpp"
#include "sys/clock.hpp"
#include "sys/file.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cstdio>
#include <memory>

namespace orch::cli {

namespace {

using base::ErrorKind;
using base::fail;
using base::printable;
using base::Value;
using evidence::Run;

struct DiffArguments {
  std::string a;
  std::string b;
  std::string dir;
  std::string output;
  bool all = false;
  OutputFormat format = OutputFormat::text;
};

// As diff(1) has it.
constexpr int k_equal = 0;
constexpr int k_different = 1;
constexpr int k_trouble = 2;

std::string shown(const Value& value) {
  constexpr std::size_t k_most = 400;
  if (value.is_null()) return "(none)";
  if (value.is_string()) return base::shortened(printable(value.as_string()), k_most);
  return base::shortened(printable(base::trim(format::to_json(value, format::JsonStyle::compact))), k_most);
}

std::string diff_text(const evidence::RunDiff& diff, const Run& a, const Run& b) {
  if (diff.differences.empty()) return {};
  std::string out = fmt::format("--- {}\n+++ {}\n", printable(a.summary.name), printable(b.summary.name));
  for (const evidence::Difference& difference : diff.differences)
    out += fmt::format("{}\n  - {}\n  + {}\n", printable(difference.field), shown(difference.a),
                       shown(difference.b));
  return out;
}

Result<Run> comparable(const std::string& root, const std::string& word, evidence::TimePoint now) {
  ORCH_TRY(Run run, evidence::find_run(root, word, now));
  if (run.summary.variants)
    return fail(
        ErrorKind::usage,
        fmt::format("'{}' is an A/B of {} variants", printable(run.summary.name), *run.summary.variants),
        fmt::format("'evidence show' ranks them; to compare two runs name them: '{}/variant-1'",
                    printable(run.summary.name)));
  if (run.summary.is_benchmark)
    return fail(ErrorKind::usage, fmt::format("'{}' is a benchmark", printable(run.summary.name)),
                "two of them are compared by 'appimage-orch bench compare'");
  const bool has_report = !run.report.is_null();
  if (has_report && !run.inputs.is_null()) return run;
  const std::string& problem = has_report ? run.inputs_problem : run.summary.problem;
  return fail(ErrorKind::corrupt,
              fmt::format("the run '{}' cannot be compared: {}", printable(run.summary.path),
                          problem.empty() ? "its documents are not written yet" : printable(problem)),
              "'appimage-orch evidence show' says what is left of it; compare another run");
}

Result<> write_document(const std::string& output, const std::string& text) {
  const sys::Result<struct stat> info = sys::stat_file(output);
  return write_output(info && S_ISDIR(info->st_mode) ? output + "/diff.json" : output, text);
}

Result<int> compare_runs(const Session& session, const DiffArguments& arguments) {
  const evidence::TimePoint now = sys::SystemClock().now();
  ORCH_TRY(const std::string root, evidence_place(session, arguments.dir));
  ORCH_TRY(const Run a, comparable(root, arguments.a, now));
  ORCH_TRY(const Run b, comparable(root, arguments.b, now));
  const evidence::DiffScope scope =
      arguments.all ? evidence::DiffScope::everything : evidence::DiffScope::essential;
  const evidence::RunDiff diff = evidence::diff_runs(a, b, scope);
  const std::string document = format::to_json(to_value(diff, a.summary.path, b.summary.path));
  if (!arguments.output.empty()) ORCH_CHECK(write_document(arguments.output, document));
  ORCH_CHECK(print_out(arguments.format == OutputFormat::json ? document : diff_text(diff, a, b)));
  if (diff.differences.empty() && session.verbosity != Verbosity::quiet) cli::say("no differences\n");
  for (const Run* run : {&a, &b})
    if (run->summary.state == evidence::RunState::running && session.verbosity != Verbosity::quiet)
      cli::say("note: '{}' still runs\n", printable(run->summary.name));
  if (session.verbosity == Verbosity::verbose)
    for (const evidence::Ignored& item : diff.ignored)
      cli::say("not compared: {} ({})\n", printable(item.field), item.reason);
  return diff.differences.empty() ? k_equal : k_different;
}

Result<int> diff(const Session& session, const DiffArguments& arguments) {
  const Result<int> status = compare_runs(session, arguments);
  if (status) return status;
  const std::string text =
      render(status.error(), session.colour ? "\x1b[1;31m" : "", session.colour ? "\x1b[0m" : "");
  cli::say(std::string_view(text));
  return k_trouble;  // 1 says that the runs differ
}

}  // namespace

void add_evidence_diff(CLI::App& evidence, Session& session) {
  const auto arguments = std::make_shared<DiffArguments>();
  CLI::App* command = evidence.add_subcommand("diff", "what is different about two runs");
  command->footer(
      "The exit status is 0 if nothing is, 1 if something is, 2 on trouble. What differs between any two "
      "runs (times,\n"
      "process ids, the run's own directory) is left out; --verbose says what was.");
  command->add_option("A", arguments->a, "a run, as 'evidence show' takes it")->required();
  command->add_option("B", arguments->b, "another")->required();
  command
      ->add_option("-o,--output", arguments->output,
                   "write the JSON document there, too; in a directory: diff.json")
      ->type_name("FILE");
  command->add_flag("--all", arguments->all,
                    "each field of both documents, with what differs between any two runs");
  add_evidence_dir(*command, arguments->dir);
  add_format(*command, arguments->format);
  command->callback([&session, arguments] {
    session.action = [&session, arguments] { return diff(session, *arguments); };
  });
}

}  // namespace orch::cli
