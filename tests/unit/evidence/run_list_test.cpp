#include "evidence/run_list.hpp"

#include "evidence/run_directory.hpp"
#include "support/run_directory.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>
#include <unistd.h>

using namespace orch;
using evidence::list_runs;
using evidence::RunState;
using evidence::RunSummary;
using test::report_of;
using test::TempRoot;
using test::write;
using test::write_run;

namespace {

const evidence::TimePoint k_now{std::chrono::seconds(1'800'000'000)};

RunSummary summary_of(const std::string& path) {
  return evidence::read_run(path, "app/x", k_now, evidence::Parts::summary).summary;
}

std::vector<std::string> names_of(const std::vector<RunSummary>& runs) {
  std::vector<std::string> out;
  for (const RunSummary& run : runs) out.push_back(run.name);
  return out;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("how a run ended, in words") {
  const TempRoot root;
  const auto words = [&](const std::string& outcome) {
    write_run(root.path() + "/x", report_of(outcome));
    return outcome_words(summary_of(root.path() + "/x"));
  };
  CHECK(words("exited") == "exit status 3");
  CHECK(words("signaled") == "signal 11 (SIGSEGV)");
  CHECK(words("timed_out") == "timed out");
  CHECK(words("build_failed") == "build failed");
  CHECK(words("running") == "killed");
}

TEST_CASE("a run whose report says running lives as long as somebody holds its lock") {
  const TempRoot root;
  evidence::Place place;
  place.root = root.path();
  place.app = "app";
  std::string path;
  {
    auto run = evidence::RunDirectory::create(place);
    REQUIRE(run);
    path = run->path();
    CHECK(summary_of(path).state == RunState::running);  // no report yet
    REQUIRE(run->write_report(report_of("running")));
    CHECK(summary_of(path).state == RunState::running);
    CHECK(summary_of(path).seconds);
  }
  CHECK(summary_of(path).state == RunState::killed);
  CHECK(summary_of(path).outcome == "interrupted");
  CHECK_FALSE(summary_of(path).seconds);
}

TEST_CASE("what cannot be read of a run is said, and the rest is taken from elsewhere") {
  const TempRoot root;
  const std::string path = root.path() + "/20260102-030405";
  const auto problem = [&](const std::string& report) {
    write(path + "/run.report.json", report);
    const RunSummary run =
        evidence::read_run(path, "app/20260102-030405", k_now, evidence::Parts::all).summary;
    CHECK(run.state == RunState::damaged);
    CHECK(run.outcome.empty());
    CHECK(run.started);  // by the name
    return run.problem;
  };
  CHECK(problem("").find("run.report.json") != std::string::npos);
  CHECK(problem("{\"schema\": 3}").find("expected the schema") != std::string::npos);
  CHECK(problem("[1]").find("expected the schema") != std::string::npos);
  CHECK(problem("{\"schema\": \"appimage-orch/run-report/1\", \"outcome\": \"x\"}").find("no outcome 'x'") !=
        std::string::npos);
  REQUIRE(sys::remove_tree(path + "/run.report.json"));
  REQUIRE(::mkfifo((path + "/run.report.json").c_str(), 0600) == 0);
  CHECK(summary_of(path).problem == "run.report.json is no file of a run");
  REQUIRE(sys::remove_tree(path + "/run.report.json"));
  CHECK(summary_of(path).problem == "it has no run.report.json");
}

TEST_CASE("runs are listed newest first, what is no run is passed over") {
  const TempRoot root;
  write_run(root.path() + "/a/20260101-000000-2", report_of("exited", "2026-01-01T00:00:00.000Z"));
  write_run(root.path() + "/a/20260101-000000-10", report_of("exited", "2026-01-01T00:00:00.000Z"));
  write_run(root.path() + "/b/20260105-000000", report_of("exited", "2026-01-05T00:00:00.000Z"));
  write_run(root.path() + "/direct", report_of("exited", "2026-01-03T00:00:00.000Z"));
  REQUIRE(sys::make_dirs(root.path() + "/a/20260102-000000"));
  write(root.path() + "/a/notes/text.md", "x");
  write(root.path() + "/a/.hidden/run.log", "x");
  write(root.path() + "/file", "x");
  REQUIRE(::symlink("b", (root.path() + "/link").c_str()) == 0);
  REQUIRE(::symlink("../b/20260105-000000", (root.path() + "/a/link").c_str()) == 0);
  const auto runs = list_runs(root.path(), k_now);
  REQUIRE(runs);
  CHECK(names_of(*runs) == Names{"b/20260105-000000", "direct", "a/20260102-000000", "a/20260101-000000-10",
                                 "a/20260101-000000-2"});
  CHECK((*runs)[2].state == RunState::damaged);
  CHECK(list_runs(root.path() + "/absent", k_now)->empty());
}

TEST_CASE("a filter is by application, outcome and time") {
  RunSummary run;
  run.name = "my_app/1";
  run.app = "my app";
  run.outcome = "interrupted";
  run.state = RunState::killed;
  run.started = k_now;
  CHECK(matches(run, {}));
  CHECK(matches(run, {"my app", "killed", k_now}));
  CHECK(matches(run, {"my_app", "interrupted", std::nullopt}));
  CHECK_FALSE(matches(run, {"my", "", std::nullopt}));
  CHECK_FALSE(matches(run, {"", "exited", std::nullopt}));
  CHECK_FALSE(matches(run, {"", "", k_now + std::chrono::seconds(1)}));
  run.started.reset();
  CHECK_FALSE(matches(run, {"", "", k_now}));
}

TEST_CASE("a run is found by its directory, its application, or how its name begins") {
  const TempRoot root;
  write_run(root.path() + "/alpha/20260101-000000", report_of("exited", "2026-01-01T00:00:00.000Z"));
  write_run(root.path() + "/alpha/20260102-000000", report_of("exited", "2026-01-02T00:00:00.000Z"));
  write_run(root.path() + "/beta/20260103-000000", report_of("exited", "2026-01-03T00:00:00.000Z"));
  const auto found = [&](const std::string& word) {
    const auto run = evidence::find_run(root.path(), word, k_now);
    return run ? run->summary.name : "error: " + run.error().what + "; " + run.error().hint;
  };
  CHECK(found(root.path() + "/alpha/20260101-000000") == "alpha/20260101-000000");
  CHECK(found("alpha") == "alpha/20260102-000000");
  CHECK(found("al") == "alpha/20260102-000000");
  CHECK(found("alpha/20260101-000000/") == "alpha/20260101-000000");
  CHECK(found("alpha/20260101") == "alpha/20260101-000000");
  CHECK(found("20260103") == "beta/20260103-000000");
  CHECK(found("alpha/2026") ==
        "error: 'alpha/2026' may be any of 2 runs; name one of them: alpha/20260102-000000, "
        "alpha/20260101-000000");
  CHECK(found("2026").find("any of 3 runs") != std::string::npos);
  CHECK(found("alhpa").find("did you mean 'alpha'?") != std::string::npos);
  CHECK(found("zzzzzz").find("evidence list") != std::string::npos);
}
