// appimage-orch evidence list: the runs, newest first.
#include "base/text.hpp"
#include "cli/evidence_command.hpp"
#include "cli/options.hpp"
#include "cli/say.hpp"
#include "evidence/moments.hpp"
#include "evidence/run_list.hpp"
#include "format/json.hpp"
#include "sys/clock.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>

namespace orch::cli {

namespace {

using base::printable;
using base::Value;
using evidence::RunState;
using evidence::RunSummary;

struct ListArguments {
  std::string app;
  std::string outcome;
  std::string since;
  std::string dir;
  OutputFormat format = OutputFormat::text;
};

constexpr std::array k_outcomes = {"running",     "exited",        "signaled",         "timed_out",
                                   "interrupted", "launch_failed", "preflight_failed", "build_failed",
                                   "compared",    "measured",      "killed",           "damaged"};

// Minutes do: the name has the seconds.
std::string date_of(const RunSummary& run) {
  constexpr std::size_t k_minutes = 16;
  return run.started ? evidence::local_time(*run.started).substr(0, k_minutes) : "?";
}

std::string time_of(const RunSummary& run) {
  return run.seconds && *run.seconds >= 0 ? base::human_seconds(*run.seconds) : "-";
}

std::string list_text(const std::string& root, const std::vector<RunSummary>& runs) {
  struct Row {
    std::string date, outcome, time, name;
  };
  std::vector<Row> rows = {{"DATE", "OUTCOME", "TIME", "RUN"}};
  for (const RunSummary& run : runs)
    rows.push_back({date_of(run), evidence::outcome_words(run), time_of(run), printable(run.name)});
  Row widest;
  const auto widen = [](std::string& column, const std::string& text) {
    if (text.size() > column.size()) column = text;
  };
  for (const Row& row : rows) {
    widen(widest.date, row.date);
    widen(widest.outcome, row.outcome);
    widen(widest.time, row.time);
  }
  std::string out = printable(root) + "\n";
  for (const Row& row : rows)
    out += fmt::format("{:<{}}  {:<{}}  {:>{}}  {}\n", row.date, widest.date.size(), row.outcome,
                       widest.outcome.size(), row.time, widest.time.size(), row.name);
  for (const RunSummary& run : runs)
    if (run.state == RunState::damaged)
      out += fmt::format("damaged: {}: {}\n", printable(run.name), printable(run.problem));
  return out;
}

Value run_value(const RunSummary& run) {
  const bool damaged = run.state == RunState::damaged;
  return Value::object({{"name", run.name},
                        {"directory", run.path},
                        {"app", run.app},
                        {"state", evidence::to_string(run.state)},
                        {"outcome", base::or_null(run.outcome)},
                        {"status", base::or_null(run.status)},
                        {"signal", base::or_null(run.signal)},
                        {"exit_status", base::or_null(run.exit_status)},
                        {"started", run.started ? Value(sys::rfc3339(*run.started)) : Value()},
                        {"seconds", base::or_null(run.seconds)},
                        {"kind", run.is_benchmark ? "bench"
                                 : run.variants   ? "ab"
                                                  : "run"},
                        {"variants", run.variants ? Value(std::uint64_t{*run.variants}) : Value()},
                        {"problem", damaged ? Value(run.problem) : Value()}});
}

Value list_value(const std::string& root, const std::vector<RunSummary>& runs) {
  Value rows = Value::array();
  for (const RunSummary& run : runs) rows.push(run_value(run));
  return Value::object(
      {{"schema", "appimage-orch/evidence-list/1"}, {"root", root}, {"runs", std::move(rows)}});
}

Result<int> list(const Session& session, const ListArguments& arguments) {
  const evidence::TimePoint now = sys::SystemClock().now();
  ORCH_TRY(const std::string root, evidence_place(session, arguments.dir));
  evidence::RunFilter filter;
  filter.app = arguments.app;
  filter.outcome = arguments.outcome;
  if (!arguments.since.empty()) {
    ORCH_TRY(filter.since, parse_when("--since", arguments.since, now));
  }
  ORCH_TRY(std::vector<RunSummary> runs, evidence::list_runs(root, now));
  const std::size_t all = runs.size();
  std::erase_if(runs, [&](const RunSummary& run) { return !matches(run, filter); });
  if (arguments.format == OutputFormat::json) {
    ORCH_CHECK(print_out(format::to_json(list_value(root, runs))));
  } else if (!runs.empty()) {
    ORCH_CHECK(print_out(list_text(root, runs)));
  } else if (session.verbosity != Verbosity::quiet) {
    cli::say("no runs below '{}'{}\n", printable(root),
             all == 0 ? "; where a profile sets [evidence] dir, name that with --dir"
                      : fmt::format(" are like that, of {} in all", all));
  }
  return 0;
}

}  // namespace

void add_evidence_list(CLI::App& evidence, Session& session) {
  const auto arguments = std::make_shared<ListArguments>();
  CLI::App* command = evidence.add_subcommand("list", "the runs, newest first");
  command->footer(
      "A run that was killed is shown as 'killed'; for --outcome it is 'interrupted', too. RUN is what "
      "'evidence show'\n"
      "and 'evidence diff' take. An A/B is one line, 'compared' for --outcome, as is a benchmark "
      "('measured'); its runs are RUN/variant-1 "
      "and so on.");
  command->add_option("--app", arguments->app, "only runs of this application")->type_name("NAME");
  command
      ->add_option("--outcome", arguments->outcome,
                   "only runs that ended so: " + fmt::format("{}", fmt::join(k_outcomes, ", ")))
      ->type_name("OUTCOME")
      ->check(CLI::IsMember(std::vector<std::string>(k_outcomes.begin(), k_outcomes.end())));
  command
      ->add_option("--since", arguments->since,
                   "only runs that began since then (\"2026-01-31\"), or that long ago (\"7d\")")
      ->type_name("WHEN");
  add_evidence_dir(*command, arguments->dir);
  add_format(*command, arguments->format);
  command->callback([&session, arguments] {
    session.action = [&session, arguments] { return list(session, *arguments); };
  });
}

}  // namespace orch::cli
