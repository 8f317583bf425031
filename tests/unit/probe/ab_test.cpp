#include "probe/ab.hpp"

#include <doctest/doctest.h>

using namespace orch::probe;
using orch::base::Value;
using Names = std::vector<std::string>;

namespace {

Value renderer(const char* api, const char* name, const char* kind) {
  return Value::object({{"api", api}, {"platform", nullptr}, {"renderer", name}, {"kind", kind}});
}

Variant variant(const char* name, std::vector<Value> renderers, int status = 0) {
  Value list = Value::array();
  for (Value& item : renderers) list.push(std::move(item));
  return {
      name,
      std::string("/e/") + name,
      "exited",
      status,
      "",
      Value::object(
          {{"kind", "gpu"},
           {"renderers", std::move(list)},
           {"tools", Value(Value::Array{Value::object(
                         {{"tool", "glxinfo"}, {"state", "ok"}, {"text", std::string("text ") + name}})})}})};
}

Value probes(std::vector<Variant> variants) {
  return ab_report({"gpu", "hello", std::move(variants), {}});
}

Variant run(const char* name, const char* outcome, int status, Value document = Value::object()) {
  return {name, std::string("/e/") + name, outcome, status, "", std::move(document)};
}

Value runs(std::vector<Variant> variants) {
  return ab_report({"run", "hello", std::move(variants), {}});
}

std::vector<int> places(const Value& report) {
  std::vector<int> out;
  for (const Value& item : report.find("ranking")->as_array())
    out.push_back(static_cast<int>(item.int_or("place", 0)));
  return out;
}

Names ranking(const Value& report) {
  Names out;
  for (const Value& item : report.find("ranking")->as_array()) out.push_back(item.string_or("variant", ""));
  return out;
}

}  // namespace

TEST_CASE("one that said nothing differs in nothing: the ranking has the reason") {
  const Variant drm = variant("drm", {renderer("GLX", "Apple M1", "hardware")});
  const Variant venus = variant("venus", {renderer("GLX", "zink Venus", "virtualised")});
  const Variant silent = run("software", "preflight_failed", 125, Value());
  CHECK(probes({silent, drm}).find("fields")->as_array().empty());
  const Value report = probes({silent, drm, venus});
  const Value::Array& fields = report.find("fields")->as_array();
  REQUIRE(fields.size() == 2);
  CHECK(fields[0].string_or("field", "") == "renderers[GLX].kind");
  CHECK(fields[0].find("values")->find("software")->is_null());
}

TEST_CASE("fields that differ, each with the value of every variant") {
  const Value report = probes({variant("drm", {renderer("GLX", "Apple M1", "hardware")}),
                               variant("venus", {renderer("GLX", "zink Venus", "virtualised"),
                                                 renderer("Vulkan", "Venus", "virtualised")})});
  const Value::Array& fields = report.find("fields")->as_array();
  Names names;
  for (const Value& field : fields) names.push_back(field.string_or("field", ""));
  CHECK(names == Names{"renderers[GLX].kind", "renderers[GLX].renderer", "renderers[Vulkan].api",
                       "renderers[Vulkan].kind", "renderers[Vulkan].renderer"});
  CHECK(fields[1].find("values")->string_or("drm", "") == "Apple M1");
  CHECK(fields[3].find("values")->find("drm")->is_null());
  CHECK(fields[3].find("values")->string_or("venus", "") == "virtualised");
}

TEST_CASE("the ranking: OpenGL first, then Vulkan, then completeness; what did not run is last") {
  Variant crashed{"broken", "/e", "signaled", 139, "", {}};
  Variant refused{"old", "/e", "preflight_failed", 125, "this muvm has no --gpu-mode", {}};
  const std::vector<Variant> all = {crashed,
                                    variant("software", {renderer("GLX", "llvmpipe", "software")}),
                                    variant("venus", {renderer("GLX", "zink", "virtualised")}),
                                    refused,
                                    variant("half", {renderer("GLX", "Apple M1", "hardware")}, 1),
                                    variant("drm", {renderer("GLX", "Apple M1", "hardware")})};
  const Value report = probes(all);
  CHECK(ranking(report) == Names{"drm", "half", "venus", "software", "broken", "old"});
  CHECK(places(report) == std::vector{1, 2, 3, 4, 5, 5});
  CHECK(winner_of(report) == "drm");
  CHECK(equal_of_winner(report).empty());
  const Value::Array& reasons = report.find("ranking")->as_array();
  CHECK(reasons[0].string_or("reason", "") == "GLX hardware (Apple M1), Vulkan nothing, EGL nothing");
  CHECK(reasons[4].string_or("reason", "") == "it did not run: signaled, status 139");
  CHECK(reasons[5].string_or("reason", "") == "it did not run: this muvm has no --gpu-mode");
  CHECK(winner_of(probes({crashed, refused})).empty());
  CHECK(ranking(probes({variant("a", {}), variant("b", {})})) == Names{"a", "b"});
}

TEST_CASE("of several devices the best counts") {
  const Value report = probes({variant(
      "x", {renderer("Vulkan", "llvmpipe", "software"), renderer("Vulkan", "Apple M1", "hardware")})});
  CHECK(report.find("ranking")->as_array()[0].string_or("reason", "") ==
        "GLX nothing, Vulkan hardware (Apple M1), EGL nothing");
  CHECK(report.find("fields")->as_array().empty());
}

TEST_CASE("runs: with status 0 before what failed, that before what was not started; equals share a place") {
  const Value known = Value::object(
      {{"signatures", Value(Value::Array{Value::object({{"id", "gl"}, {"meaning", "no OpenGL"}})})}});
  Variant refused = run("old", "preflight_failed", 125);
  refused.error = "this muvm has no --gpu-mode";
  const Value report =
      runs({refused, run("slow", "timed_out", 124), run("drm", "exited", 0), run("odd", "exited", 3, known),
            run("venus", "exited", 0), run("software", "signaled", 139)});
  CHECK(ranking(report) == Names{"drm", "venus", "slow", "odd", "software", "old"});
  CHECK(places(report) == std::vector{1, 1, 3, 3, 3, 6});
  const Value::Array& reasons = report.find("ranking")->as_array();
  CHECK(reasons[0].string_or("reason", "") == "it ended with status 0");
  CHECK(reasons[2].string_or("reason", "") == "its time was up");
  CHECK(reasons[3].string_or("reason", "") == "it ended with status 3: no OpenGL");
  CHECK(reasons[4].string_or("reason", "") == "it was ended by a signal, status 139");
  CHECK(reasons[5].string_or("reason", "") == "it did not run: this muvm has no --gpu-mode");
  CHECK(winner_of(report) == "drm");
  CHECK(equal_of_winner(report) == "venus");
  CHECK_FALSE(report.find("variants")->as_array()[0].bool_or("ran", true));
}

TEST_CASE("runs: who failed wins nothing, and an interrupted one neither ran nor won") {
  const Value report = runs({run("a", "exited", 1), run("b", "interrupted", 130)});
  CHECK(ranking(report) == Names{"a", "b"});
  CHECK(winner_of(report).empty());
  CHECK(report.find("ranking")->as_array()[1].string_or("reason", "") == "it was interrupted");
  CHECK(winner_of(ab_report({"run", "hello", {}, {"a", "b"}})).empty());
}

TEST_CASE("what of runs is compared: how they ended, checks and known failures by their names") {
  const auto report = [](const char* outcome, const char* check, double seconds) {
    return Value::object(
        {{"outcome", outcome},
         {"status", 0},
         {"phases", Value(Value::Array{Value::object({{"name", "build"}, {"seconds", seconds}})})},
         {"checks", Value(Value::Array{Value::object({{"id", "gpu"}, {"status", check}})})},
         {"error", nullptr}});
  };
  const Value document = runs({run("a", "exited", 0, run_facts(report("exited", "ok", 1))),
                               run("b", "signaled", 139, run_facts(report("signaled", "warning", 2)))});
  Names fields;
  for (const Value& field : document.find("fields")->as_array())
    fields.push_back(field.string_or("field", ""));
  CHECK(fields == Names{"checks[gpu].status", "outcome"});
}
