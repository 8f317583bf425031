#include "evidence/prune.hpp"

#include "evidence/run_directory.hpp"
#include "support/run_directory.hpp"

#include <doctest/doctest.h>

#include <unistd.h>

using namespace orch;
using evidence::Pruned;
using evidence::PruneRule;
using evidence::RunState;
using evidence::RunSummary;
using test::report_of;
using test::TempRoot;
using test::write;
using test::write_run;
using Names = std::vector<std::string>;

namespace {

evidence::TimePoint day(int number) {
  return evidence::TimePoint(std::chrono::hours(24 * number));
}

RunSummary run_of(const std::string& app, int number, RunState state = RunState::ended) {
  RunSummary run;
  run.app = app;
  run.name = app + "/" + std::to_string(number);
  run.started = day(number);
  run.state = state;
  return run;
}

Names pruned(const std::vector<RunSummary>& runs, const PruneRule& rule) {
  Names out;
  for (const RunSummary& run : to_prune(runs, rule)) out.push_back(run.name);
  return out;
}

}  // namespace

TEST_CASE("what a rule lets go") {
  const std::vector<RunSummary> runs = {run_of("a", 9, RunState::running), run_of("a", 8), run_of("b", 7),
                                        run_of("a", 6, RunState::killed),  run_of("b", 5), run_of("a", 4)};
  CHECK(pruned(runs, {2, {}, ""}) == Names{"a/6", "a/4"});
  CHECK(pruned(runs, {0, {}, ""}) == Names{"a/8", "b/7", "a/6", "b/5", "a/4"});
  CHECK(pruned(runs, {{}, day(6), ""}) == Names{"b/5", "a/4"});
  CHECK(pruned(runs, {2, day(6), ""}) == Names{"a/4"});
  CHECK(pruned(runs, {1, {}, "b"}) == Names{"b/5"});
  CHECK(pruned({run_of("a", 3, RunState::damaged), run_of("a", 2), run_of("a", 1, RunState::damaged)},
               {1, {}, ""}) == Names{"a/1"});
}

TEST_CASE("a run that is over is removed, with nothing left beside it") {
  const TempRoot root;
  const std::string path = root.path() + "/app/20260102-030405";
  write_run(path, report_of("exited"));
  write(path + "/sub/more", "four");
  const Pruned would = evidence::would_prune(path);
  CHECK(would.result == Pruned::Result::removed);
  CHECK(sys::exists(path));
  const Pruned done = evidence::prune_run(path);
  CHECK(done.result == Pruned::Result::removed);
  CHECK(done.bytes == would.bytes);
  CHECK(done.bytes ==
        format::to_json(report_of("exited")).size() + format::to_json(test::inputs_of()).size() + 4);
  CHECK(sys::list_dir(root.path() + "/app")->empty());
}

TEST_CASE("what runs stays, and so does what is no run") {
  const TempRoot root;
  evidence::Place place;
  place.root = root.path();
  place.app = "app";
  auto run = evidence::RunDirectory::create(place);
  REQUIRE(run);
  REQUIRE(run->write_report(report_of("running")));
  CHECK(evidence::prune_run(run->path()).reason == "it runs");
  CHECK(sys::exists(run->path() + "/run.report.json"));
  write(root.path() + "/app/20260102-030405/run.report.json", "{\"schema\": \"other/1\"}");
  write(root.path() + "/app/20260102-030405/run.log", "");
  CHECK(evidence::prune_run(root.path() + "/app/20260102-030405").result == Pruned::Result::stays);
  CHECK(sys::exists(root.path() + "/app/20260102-030405/run.report.json"));
  write_run(root.path() + "/elsewhere", report_of("exited"));
  REQUIRE(::symlink("../elsewhere", (root.path() + "/app/link").c_str()) == 0);
  CHECK(evidence::prune_run(root.path() + "/app/link").result == Pruned::Result::stays);
  CHECK(sys::exists(root.path() + "/elsewhere/run.report.json"));
  // Whether this one runs cannot be told: its log cannot be opened.
  const std::string unknown = root.path() + "/app/20260103-030405";
  write_run(unknown, report_of("running"));
  REQUIRE(sys::remove_tree(unknown + "/run.log"));
  REQUIRE(::symlink("run.log", (unknown + "/run.log").c_str()) == 0);
  CHECK(evidence::prune_run(unknown).result == Pruned::Result::stays);
  write_run(root.path() + "/app/20260104-030405", report_of("running"));
  CHECK(evidence::prune_run(root.path() + "/app/20260104-030405").result == Pruned::Result::removed);
}

TEST_CASE("what a prune that was killed left is no run, and the next one removes it") {
  const TempRoot root;
  write_run(root.path() + "/app/.appimage-orch-pruned-20260102-030405-1", report_of("exited"));
  write(root.path() + "/app/other", "x");
  CHECK(evidence::list_runs(root.path(), day(1))->empty());
  evidence::remove_leftovers(root.path());
  CHECK(*sys::list_dir(root.path() + "/app") == Names{"other"});
}
