#include "evidence/run_diff.hpp"

#include "support/run_directory.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace orch;
using base::Value;
using evidence::diff_runs;
using evidence::DiffScope;
using evidence::Run;
using Names = std::vector<std::string>;

namespace {

struct Fact {
  std::string home = "/home/u";
  std::string directory = "/home/u/w";
  std::string appdir = "/home/u/.cache/appimage-orch/store/tree/1/root";
  std::string digest = "d1";
  std::string gpu_mode = "drm";
  std::vector<std::pair<std::string, std::string>> variables = {{"A", "1"}};
  std::vector<std::pair<std::string, std::string>> images = {{"base", "/i/base"}, {"deps", "/i/deps"}};
  std::vector<std::string> args = {"x"};
  std::string stamp = "1";
  std::string image_digest = "d";  // of the last one
  std::vector<std::pair<std::string, std::string>> packages = {{"liba", "1"}, {"libb", "1"}};  // of deps
  std::string rebuilt;  // a package of them whose archive is another one of the same version
};

// Of the image that was made of these packages; all that their content changes is changed.
Value manifest_of(const Fact& fact) {
  Value packages = Value::array();
  std::string mark;
  for (const auto& [name, version] : fact.packages) {
    const std::string archive = name + version + (name == fact.rebuilt ? "+" : "");
    packages.push(
        Value::object({{"name", name}, {"version", version}, {"sha256", archive}, {"size", archive}}));
    mark += archive;
  }
  return Value::object(
      {{"role", "deps"},
       {"image", mark},
       {"sha256", mark},
       {"content", Value::object({{"image", Value::object({{"sha256", mark}, {"size", mark}})},
                                  {"tree", Value::object({{"xxh3", mark}})},
                                  {"tool", "mkfs"},
                                  {"packages", packages}})}});
}

// A run by muvm, with all that says one thing in several places.
Run run_of(const Fact& fact) {
  Value environment = Value::object({{"APPDIR", fact.appdir}, {"OWD", fact.directory}});
  Value images = Value::array();
  std::vector<std::string> argv = {"/usr/bin/muvm", "--emu=fex", "--gpu-mode=" + fact.gpu_mode};
  for (const auto& [role, path] : fact.images) {
    const bool last = path == fact.images.back().second;
    images.push(Value::object({{"path", path}, {"role", role}, {"digest", last ? fact.image_digest : "d"}}));
    argv.insert(argv.end(), {"-f", path});
  }
  const bool has_deps = std::any_of(fact.images.begin(), fact.images.end(),
                                    [](const auto& image) { return image.first == "deps"; });
  for (const auto& [name, value] : fact.variables) environment.set(name, value);
  for (const Value::Member& member : environment.as_object())
    argv.insert(argv.end(), {"-e", member.key + "=" + member.value.as_string()});
  argv.insert(argv.end(),
              {"--", "/bin/sh", "-c", "cd -- \"$1\"", "sh", fact.directory, fact.appdir + "/AppRun"});
  argv.insert(argv.end(), fact.args.begin(), fact.args.end());
  Value set = Value::object();
  for (const auto& [name, value] : fact.variables) set.set(name, value);
  Run run;
  run.report = test::report_of("exited", "2026-01-0" + fact.stamp + "T00:00:00.000Z");
  run.report.set("launcher", "muvm");
  run.report.set("argv", Value::strings(argv));
  run.report.set("images", images);
  run.report.set("environment", environment);
  run.report.set("app", Value::object({{"path", fact.home + "/x.AppImage"}, {"sha256", fact.digest}}));
  run.inputs = Value::object(
      {{"schema", "appimage-orch/inputs/1"},
       {"started", fact.stamp},
       {"profile", Value::object({{"name", "app"},
                                  {"expanded",
                                   Value::object({{"app", Value::object({{"env", set}})},
                                                  {"launch", Value::object({{"gpu_mode", fact.gpu_mode}})}})},
                                  {"verbatim", "text " + fact.stamp}})},
       {"paths", Value::object({{"evidence", "/e/" + fact.stamp},
                                {"cache", fact.home + "/.cache/appimage-orch"},
                                {"directory", fact.directory}})},
       {"launch", Value::object({{"appdir", fact.appdir},
                                 {"gpu_mode", fact.gpu_mode},
                                 {"args", Value::strings(fact.args)},
                                 {"images", images},
                                 {"environment", set}})},
       {"command", Value::object({{"argv", Value::strings(argv)}, {"env", environment}, {"images", images}})},
       {"tools",
        Value(Value::Array{Value::object({{"name", "muvm"}, {"path", "/usr/bin/muvm"}, {"version", "1"}})})},
       {"manifests", has_deps ? Value(Value::Array{manifest_of(fact)}) : Value::array()},
       {"environment",
        Value::object({{"HOME", fact.home}, {"PWD", fact.directory}, {"SHLVL", fact.stamp}})}});
  return run;
}

Names fields(const Fact& a, const Fact& b) {
  Names out;
  for (const auto& item : diff_runs(run_of(a), run_of(b), DiffScope::essential).differences)
    out.push_back(item.field);
  return out;
}

}  // namespace

TEST_CASE("runs that differ in what any two differ in are equal, and it is said what that was") {
  Fact b;
  b.stamp = "2";
  CHECK(fields({}, b).empty());
  Names ignored;
  for (const auto& item : diff_runs(run_of({}), run_of(b), DiffScope::essential).ignored) {
    CHECK_FALSE(item.reason.empty());
    ignored.push_back(item.field);
  }
  CHECK(ignored == Names{"report.started", "inputs.started", "inputs.profile.verbatim",
                         "inputs.paths.evidence", "inputs.environment.SHLVL"});
  CHECK(diff_runs(run_of({}), run_of(b), DiffScope::everything).differences.size() == 5);
}

TEST_CASE("a variable is named once, changed, added or removed") {
  Fact b;
  b.variables = {{"A", "2"}};
  CHECK(fields({}, b) == Names{"report.environment.A"});
  b.variables = {{"A", "1"}, {"B", "b c"}};
  CHECK(fields({}, b) == Names{"report.environment.B"});
  CHECK(fields(b, {}) == Names{"report.environment.B"});
  CHECK(diff_runs(run_of({}), run_of(b), DiffScope::everything).differences.size() > 3);
}

TEST_CASE("what is in the command line only is a difference of it") {
  Fact b;
  b.args = {"new", "x"};
  const auto diff = diff_runs(run_of({}), run_of(b), DiffScope::essential);
  REQUIRE(diff.differences.size() == 1);
  CHECK(diff.differences[0].field == "report.argv[20]");
  CHECK(diff.differences[0].a.is_null());
  CHECK(diff.differences[0].b == Value("new"));
}

TEST_CASE("the GPU mode is named once") {
  Fact b;
  b.gpu_mode = "venus";
  CHECK(fields({}, b) == Names{"inputs.launch.gpu_mode"});
}

TEST_CASE("an image of other packages: the image, and the packages by name") {
  Fact b;
  b.image_digest = "e";
  b.packages = {{"liba", "1"}, {"libb", "2"}, {"libc", "1"}};
  CHECK(fields({}, b) == Names{"report.images[deps].digest",
                               "inputs.manifests[deps].content.packages[libb].version",
                               "inputs.manifests[deps].content.packages[libc]"});
}

TEST_CASE("another archive of the same version is named") {
  Fact b;
  b.image_digest = "e";
  b.rebuilt = "libb";
  CHECK(fields({}, b) ==
        Names{"report.images[deps].digest", "inputs.manifests[deps].content.packages[libb].sha256"});
}

TEST_CASE("an image is named once, and the others stay what they are") {
  Fact b;
  b.images = {{"deps", "/i/deps"}};
  CHECK(fields({}, b) == Names{"report.images[base]"});
  b.images = {{"base", "/i/base"}};
  CHECK(fields({}, b) == Names{"report.images[deps]"});
  b.images = {{"base", "/i/other"}, {"deps", "/i/deps"}};
  CHECK(fields({}, b) == Names{"report.images[base].path"});
  b.images = {{"deps", "/i/deps"}, {"base", "/i/base"}};
  CHECK(fields({}, b) == Names{"report.images.order"});
}

TEST_CASE("an image of another content at another path is one difference, with both of it") {
  Fact a;
  Fact b;
  b.image_digest = "e";
  CHECK(fields(a, b) == Names{"report.images[deps].digest"});
  b.images = {{"base", "/i/base"}, {"deps", "/j/deps"}};
  const auto diff = diff_runs(run_of(a), run_of(b), DiffScope::essential);
  REQUIRE(diff.differences.size() == 1);
  CHECK(diff.differences[0].field == "report.images[deps]");
  CHECK(diff.differences[0].a == Value::object({{"path", "/i/deps"}, {"role", "deps"}, {"digest", "d"}}));
  CHECK(diff.differences[0].b == Value::object({{"path", "/j/deps"}, {"role", "deps"}, {"digest", "e"}}));
  a.images = {{"deps", "/i/one"}, {"deps", "/i/two"}};
  b.images = {{"deps", "/i/one"}, {"deps", "/j/two"}};
  CHECK(fields(a, b) == Names{"report.images[deps 2]"});
  CHECK(diff_runs(run_of(a), run_of(b), DiffScope::everything).differences.size() > 2);
}

TEST_CASE("a directory that differs is named once, not in all that lies below it") {
  Fact b;
  b.directory = "/srv";
  CHECK(fields({}, b) == Names{"inputs.paths.directory"});
  b = {};
  b.home = "/home/other";
  b.directory = "/home/other/w";
  b.appdir = "/home/other/.cache/appimage-orch/store/tree/1/root";
  CHECK(fields({}, b) == Names{"inputs.environment.HOME"});
  b = {};
  b.digest = "d2";
  b.appdir = "/home/u/.cache/appimage-orch/store/tree/2/root";
  CHECK(fields({}, b) == Names{"report.app.sha256"});
}

TEST_CASE("a variable with the directory of one run only is a difference") {
  Fact a;
  Fact b;
  b.directory = "/srv";
  a.variables = {{"WHERE", "/home/u/w/x"}};
  b.variables = {{"WHERE", "/home/u/w/x"}};
  CHECK(fields(a, b) == Names{"inputs.paths.directory"});
  b.variables = {{"WHERE", "/srv/y"}};
  CHECK(fields(a, b) == Names{"report.environment.WHERE", "inputs.paths.directory"});
  b.variables = {{"WHERE", "/srvx"}};
  CHECK(fields(a, b) == Names{"report.environment.WHERE", "inputs.paths.directory"});
}

TEST_CASE("how they ended is compared, of a killed run as what it is") {
  Run a = run_of({});
  Run b = run_of({});
  b.report.set("status", 4);
  b.report.set("exit_status", 4);
  a.report.set("exit_status", 3);
  auto diff = diff_runs(a, b, DiffScope::essential);
  REQUIRE(diff.differences.size() == 1);
  CHECK(diff.differences[0].field == "report.status");
  b = run_of({});
  b.report.set("outcome", "running");
  b.summary.state = evidence::RunState::killed;
  b.summary.outcome = "interrupted";
  diff = diff_runs(run_of({}), b, DiffScope::essential);
  REQUIRE(diff.differences.size() == 1);
  CHECK(diff.differences[0].b == Value("interrupted"));
}

TEST_CASE("the document") {
  Fact b;
  b.variables = {{"A", "2"}};
  b.stamp = "2";
  const Value document = to_value(diff_runs(run_of({}), run_of(b), DiffScope::essential), "/a", "/b");
  CHECK(document.string_or("schema", "") == "appimage-orch/diff/1");
  CHECK(document.string_or("a", "") == "/a");
  CHECK(document.find("differences")->as_array()[0] ==
        Value::object({{"field", "report.environment.A"}, {"a", "1"}, {"b", "2"}}));
  CHECK(document.find("ignored")->as_array().size() == 5);
}
