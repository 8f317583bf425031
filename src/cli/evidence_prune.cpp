// appimage-orch evidence prune: removes old runs, and says which.
#include "base/text.hpp"
#include "cli/evidence_command.hpp"
#include "cli/options.hpp"
#include "cli/say.hpp"
#include "evidence/prune.hpp"
#include "evidence/run_list.hpp"
#include "format/json.hpp"
#include "sys/clock.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace orch::cli {

namespace {

using base::ErrorKind;
using base::fail;
using base::printable;
using base::Value;
using evidence::RunSummary;

struct PruneArguments {
  std::optional<std::size_t> keep;
  std::string older;
  std::string app;
  std::string dir;
  bool dry_run = false;
  OutputFormat format = OutputFormat::text;
};

struct PrunedRun {
  RunSummary run;
  evidence::Pruned result;
};

bool is_removed(const PrunedRun& item) {
  return item.result.result == evidence::Pruned::Result::removed;
}

struct Totals {
  std::size_t runs = 0;
  std::uint64_t bytes = 0;
};

Totals totals_of(const std::vector<PrunedRun>& all) {
  Totals out;
  for (const PrunedRun& item : all) {
    if (!is_removed(item)) continue;
    ++out.runs;
    out.bytes += item.result.bytes;
  }
  return out;
}

std::string prune_text(const std::vector<PrunedRun>& all, bool dry_run) {
  std::string out;
  const char* verb = dry_run ? "would remove" : "removed";
  for (const PrunedRun& item : all)
    if (is_removed(item))
      out += fmt::format("{} {} ({})\n", verb, printable(item.run.name), base::human_size(item.result.bytes));
  const Totals totals = totals_of(all);
  return out + fmt::format("{} {}, {}\n", verb, base::quantity(totals.runs, "run", "runs"),
                           base::human_size(totals.bytes));
}

Value prune_value(const std::string& root, const std::vector<PrunedRun>& all, bool dry_run) {
  Value removed = Value::array();
  Value stays = Value::array();
  for (const PrunedRun& item : all) {
    Value row = Value::object({{"name", item.run.name}, {"directory", item.run.path}});
    const bool good = is_removed(item);
    row.set(good ? "bytes" : "reason", good ? Value(item.result.bytes) : Value(item.result.reason));
    (good ? removed : stays).push(std::move(row));
  }
  return Value::object({{"schema", "appimage-orch/evidence-prune/1"},
                        {"root", root},
                        {"dry_run", dry_run},
                        {"bytes", totals_of(all).bytes},
                        {"removed", std::move(removed)},
                        {"stays", std::move(stays)}});
}

Result<evidence::PruneRule> rule_of(const PruneArguments& arguments, evidence::TimePoint now) {
  if (!arguments.keep && arguments.older.empty())
    return fail(ErrorKind::usage, "'evidence prune' was not told what may go",
                "say --keep N (the newest N of each application stay), --older 30d, or both");
  evidence::PruneRule rule;
  rule.keep = arguments.keep;
  rule.app = arguments.app;
  if (!arguments.older.empty()) {
    ORCH_TRY(rule.before, parse_when("--older", arguments.older, now));
  }
  return rule;
}

Result<int> prune(const Session& session, const PruneArguments& arguments) {
  const evidence::TimePoint now = sys::SystemClock().now();
  ORCH_TRY(const evidence::PruneRule rule, rule_of(arguments, now));
  ORCH_TRY(const std::string root, evidence_place(session, arguments.dir));
  ORCH_TRY(const std::vector<RunSummary> runs, evidence::list_runs(root, now));
  const auto of_app = [&](const RunSummary& run) { return matches(run, {arguments.app, "", {}}); };
  if (std::none_of(runs.begin(), runs.end(), of_app) && !arguments.app.empty())
    return fail(ErrorKind::usage,
                fmt::format("there is no run of '{}' below '{}'", printable(arguments.app), printable(root)),
                "'evidence list' shows what there is");
  if (!arguments.dry_run) evidence::remove_leftovers(root);
  std::vector<PrunedRun> all;
  for (const RunSummary& run : to_prune(runs, rule))
    all.push_back({run, arguments.dry_run ? evidence::would_prune(run.path) : evidence::prune_run(run.path)});
  if (arguments.format == OutputFormat::json)
    ORCH_CHECK(print_out(format::to_json(prune_value(root, all, arguments.dry_run))));
  else if (session.verbosity != Verbosity::quiet)
    ORCH_CHECK(print_out(prune_text(all, arguments.dry_run)));
  bool complete = true;
  for (const PrunedRun& item : all) {
    if (is_removed(item)) continue;
    complete = complete && item.result.result != evidence::Pruned::Result::failed;
    cli::say("warning: '{}' stays: {}\n", printable(item.run.path), printable(item.result.reason));
  }
  return complete ? 0 : 1;
}

}  // namespace

void add_evidence_prune(CLI::App& evidence, Session& session) {
  const auto arguments = std::make_shared<PruneArguments>();
  CLI::App* command = evidence.add_subcommand("prune", "remove old runs");
  command->footer(
      "With both --keep and --older, a run goes only if neither keeps it. A run that is under way stays.");
  command->add_option("--keep", arguments->keep, "the newest N runs of each application stay")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--older", arguments->older, "only what began longer ago (\"30d\"), or before that day")
      ->type_name("DURATION");
  command->add_option("--app", arguments->app, "only runs of this application")->type_name("NAME");
  command->add_flag("-n,--dry-run", arguments->dry_run, "say what would go, remove nothing");
  add_evidence_dir(*command, arguments->dir);
  add_format(*command, arguments->format);
  command->callback([&session, arguments] {
    session.action = [&session, arguments] { return prune(session, *arguments); };
  });
}

}  // namespace orch::cli
