#include "evidence/run_directory.hpp"

#include "evidence/report.hpp"
#include "format/json.hpp"
#include "sys/file.hpp"

#include <doctest/doctest.h>

#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

using namespace orch;
using evidence::Place;
using evidence::RunDirectory;

namespace {

class TempDir {
 public:
  TempDir() : path_(*sys::make_temp_dir("/tmp/orch-unit-")) {}
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() { (void)sys::remove_tree(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

Place place_in(const std::string& root) {
  Place place;
  place.root = root;
  place.app = "My App/x";
  place.now = std::chrono::system_clock::time_point(std::chrono::seconds(1'000'000'000));
  return place;
}

// So many times the next exclusive lock is not given, for this reason.
int locks_to_refuse = 0;
int refusal = 0;

evidence::RunReport report_of(const std::string& outcome, std::size_t bytes = 0) {
  evidence::RunReport report;
  report.outcome = outcome;
  report.argv = {std::string(bytes, 'x')};
  return report;
}

std::string outcome_in(const std::string& directory) {
  const auto parsed = format::parse_json(*sys::read_file(directory + "/run.report.json"), "report");
  return parsed ? parsed->string_or("outcome", "") : "no JSON";
}

std::uint64_t reserved_in(const std::string& directory) {
  const auto info = sys::stat_file(directory + "/.run.report.json.reserve");
  return info ? static_cast<std::uint64_t>(info->st_size) : 0;
}

}  // namespace

// In the place of the C library's.
extern "C" int flock(int fd, int operation) noexcept {
  if ((operation & LOCK_EX) != 0 && locks_to_refuse > 0) {
    --locks_to_refuse;
    errno = refusal;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_flock, fd, operation));
}

TEST_CASE("two runs in the same second get two directories") {
  const TempDir temp;
  const auto first = RunDirectory::create(place_in(temp.path()));
  const auto second = RunDirectory::create(place_in(temp.path()));
  REQUIRE(first);
  REQUIRE(second);
  CHECK(second->path() == first->path() + "-2");
  CHECK(sys::parent_path(first->path()) == temp.path() + "/My_App_x");
}

TEST_CASE("a report says running until it is finished, and the lock tells whether it is") {
  const TempDir temp;
  std::string path;
  {
    auto run = RunDirectory::create(place_in(temp.path()));
    REQUIRE(run);
    path = run->path();
    REQUIRE(run->write_report(to_value(evidence::RunReport{})));
    CHECK(sys::read_file(path + "/run.report.json")->find("\"outcome\": \"running\"") != std::string::npos);
    CHECK(evidence::is_running(path));
    evidence::RunReport report;
    report.outcome = "exited";
    report.environment = base::Value::object({{"A_TOKEN", "x"}});
    REQUIRE(run->finish(to_value(report)));
    const std::string text = *sys::read_file(path + "/run.report.json");
    const auto parsed = format::parse_json(text, "report");
    REQUIRE(parsed);
    CHECK(parsed->string_or("outcome", "") == "exited");
    CHECK(parsed->find_path("environment.A_TOKEN")->as_string() == "[redacted]");
  }
  CHECK_FALSE(evidence::is_running(path));
  CHECK(*sys::list_dir(path) == std::vector<std::string>{"run.log", "run.report.json"});
}

TEST_CASE("an out_dir that is not empty is refused, unless told otherwise") {
  const TempDir temp;
  Place place;
  place.out_dir = temp.path() + "/out";
  { REQUIRE(RunDirectory::create(place)); }
  const auto refused = RunDirectory::create(place);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().hint.find("--force") != std::string::npos);
  place.occupied = Place::Occupied::replace;
  CHECK(RunDirectory::create(place));
}

TEST_CASE("a look at the lock in the instant when a run takes it does not cost the run its lock") {
  const TempDir temp;
  refusal = EWOULDBLOCK;
  locks_to_refuse = 3;
  const auto run = RunDirectory::create(place_in(temp.path()));
  REQUIRE(run);
  CHECK(locks_to_refuse == 0);
  CHECK(evidence::is_running(run->path()));
  locks_to_refuse = 1'000'000;
  const auto refused = RunDirectory::create(place_in(temp.path()));
  locks_to_refuse = 0;
  REQUIRE_FALSE(refused);
  CHECK(refused.error().what.find("holds the lock of '" + run->path() + "-2/run.log'") != std::string::npos);
  CHECK_FALSE(refused.error().hint.empty());
}

TEST_CASE("a file system without locks is good enough") {
  for (const int number : {ENOLCK, EOPNOTSUPP, EINVAL}) {
    const TempDir temp;
    refusal = number;
    constexpr int k_for_ever = 1'000'000;
    locks_to_refuse = k_for_ever;
    CHECK(RunDirectory::create(place_in(temp.path())));
    CHECK(locks_to_refuse == k_for_ever - 1);  // no time is lost with it
    locks_to_refuse = 0;
  }
}

TEST_CASE("the files of a run that is under way are not replaced") {
  const TempDir temp;
  Place place;
  place.out_dir = temp.path() + "/out";
  place.occupied = Place::Occupied::replace;
  {
    auto run = RunDirectory::create(place);
    REQUIRE(run);
    REQUIRE(run->write_report(to_value(report_of("running"))));
    const auto refused = RunDirectory::create(place);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind == base::ErrorKind::usage);
    CHECK(refused.error().what == "the run in '" + place.out_dir + "' is under way");
    CHECK(refused.error().hint.find("--out-dir") != std::string::npos);
    CHECK(outcome_in(place.out_dir) == "running");
    REQUIRE(run->finish(to_value(report_of("exited"))));
    CHECK(outcome_in(place.out_dir) == "exited");
  }
  CHECK(RunDirectory::create(place));
}

TEST_CASE("a run whose files are another's now leaves them alone") {
  const TempDir temp;
  Place place;
  place.out_dir = temp.path() + "/out";
  {
    auto run = RunDirectory::create(place);
    REQUIRE(run);
    REQUIRE(sys::rename_file(place.out_dir, temp.path() + "/moved"));
    const auto lost = run->finish(to_value(report_of("exited")));
    REQUIRE_FALSE(lost);
    CHECK(lost.error().what.find(place.out_dir + "/run.report.json") != std::string::npos);
    auto other = RunDirectory::create(place);
    REQUIRE(other);
    REQUIRE(other->write_report(to_value(report_of("running"))));
    CHECK_FALSE(run->finish(to_value(report_of("exited"))));
    { const RunDirectory ended = *std::move(run); }
    CHECK(outcome_in(place.out_dir) == "running");
    CHECK(reserved_in(place.out_dir) != 0);
    REQUIRE(other->finish(to_value(report_of("signaled"))));
  }
  CHECK(outcome_in(place.out_dir) == "signaled");
}

TEST_CASE("a reserve that was removed is done without") {
  const TempDir temp;
  auto run = RunDirectory::create(place_in(temp.path()));
  REQUIRE(run);
  REQUIRE(sys::remove_tree(run->path() + "/.run.report.json.reserve"));
  REQUIRE(run->finish(to_value(report_of("exited"))));
  CHECK(outcome_in(run->path()) == "exited");
}

TEST_CASE("what is reserved is more than the report that is there") {
  constexpr std::uint64_t k_kib = 1024;
  const TempDir temp;
  auto run = RunDirectory::create(place_in(temp.path()));
  REQUIRE(run);
  CHECK(reserved_in(run->path()) >= 128 * k_kib);
  REQUIRE(run->write_report(to_value(report_of("running", 100 * k_kib))));
  CHECK(reserved_in(run->path()) >= 164 * k_kib);
  REQUIRE(run->write_report(to_value(report_of("running", 1000 * k_kib))));
  CHECK(reserved_in(run->path()) >= 1064 * k_kib);
  REQUIRE(run->finish(to_value(report_of("exited", 1010 * k_kib))));
  CHECK(outcome_in(run->path()) == "exited");
}

TEST_CASE("no spelling of a secret in the profile gets into inputs.json") {
  const TempDir temp;
  auto run = RunDirectory::create(place_in(temp.path()));
  REQUIRE(run);
  const std::string profile =
      "# my_token = \"hunter2\"\n[app]\nenv = { my_token = \"x\\\"hunter2\" }\nargs = "
      "[\"--api-key=a,hunter2\", "
      "\"--token\",\n  \"hunter2\"]\n";
  REQUIRE(run->write_inputs(
      base::Value::object({{"profile", base::Value::object({{"name", "p"}, {"verbatim", profile}})}})));
  const std::string text = *sys::read_file(run->path() + "/inputs.json");
  CHECK(text.find("hunter2") == std::string::npos);
  CHECK(text.find("my_token = \\\"[redacted]\\\"") != std::string::npos);
}

TEST_CASE("where evidence goes") {
  const TempDir temp;
  CHECK(evidence::evidence_root("/e", temp.path(), "/s") == "/e");
  CHECK(evidence::evidence_root("auto", temp.path(), "/s") == "/s/evidence");
  REQUIRE(sys::make_dirs(temp.path() + "/docs/agent-context"));
  CHECK(evidence::evidence_root("", temp.path(), "/s") == temp.path() + "/docs/agent-context/research");
}

TEST_CASE("of a recording that cannot be opened it is said why, and the log has all") {
  for (const bool broken : {true, false}) {
    const TempDir temp;
    auto run = RunDirectory::create(place_in(temp.path()));
    REQUIRE(run);
    if (broken) REQUIRE(sys::make_dirs(run->path() + "/run.cast"));
    run->begin_capture({0, true, true}, {});
    if (broken) REQUIRE(::symlink("elsewhere", (run->path() + "/run.txt").c_str()) == 0);
    run->capture("text\n");
    run->end_capture();
    CHECK(*sys::read_file(run->path() + "/run.log") == "text\n");
    const std::vector<std::string>& problems = run->capture_problems();
    REQUIRE(problems.size() == (broken ? 2 : 0));
    if (!broken) continue;
    CHECK(problems[0].starts_with("run.cast could not be opened (cannot write '"));
    CHECK(problems[0].ends_with("/run.cast': Is a directory)"));
    CHECK(problems[1].starts_with("run.txt could not be opened (cannot write '"));
    CHECK(problems[1].ends_with("/run.txt': Too many levels of symbolic links)"));
  }
}
