#include "evidence/run_directory.hpp"

#include "evidence/report.hpp"
#include "format/json.hpp"
#include "sys/file.hpp"

#include <doctest/doctest.h>

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

}  // namespace

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

TEST_CASE("where evidence goes") {
  const TempDir temp;
  CHECK(evidence::evidence_root("/e", temp.path(), "/s") == "/e");
  CHECK(evidence::evidence_root("auto", temp.path(), "/s") == "/s/evidence");
  REQUIRE(sys::make_dirs(temp.path() + "/docs/agent-context"));
  CHECK(evidence::evidence_root("", temp.path(), "/s") == temp.path() + "/docs/agent-context/research");
}
