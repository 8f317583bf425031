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

Names ranking(const Value& report) {
  Names out;
  for (const Value& item : report.find("ranking")->as_array()) out.push_back(item.string_or("variant", ""));
  return out;
}

}  // namespace

TEST_CASE("fields that differ, each with the value of every variant") {
  const Value report = ab_report("gpu", {variant("drm", {renderer("GLX", "Apple M1", "hardware")}),
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
  const Value report = ab_report("gpu", all);
  CHECK(ranking(report) == Names{"drm", "half", "venus", "software", "broken", "old"});
  CHECK(winner_of(report) == "drm");
  const Value::Array& reasons = report.find("ranking")->as_array();
  CHECK(reasons[0].string_or("reason", "") == "GLX hardware (Apple M1), Vulkan nothing, EGL nothing");
  CHECK(reasons[4].string_or("reason", "") == "it did not run: signaled, status 139");
  CHECK(reasons[5].string_or("reason", "") == "it did not run: this muvm has no --gpu-mode");
  CHECK(winner_of(ab_report("gpu", {crashed, refused})).empty());
  CHECK(ranking(ab_report("gpu", {variant("a", {}), variant("b", {})})) == Names{"a", "b"});
}

TEST_CASE("of several devices the best counts") {
  const Value report = ab_report("gpu", {variant("x", {renderer("Vulkan", "llvmpipe", "software"),
                                                       renderer("Vulkan", "Apple M1", "hardware")})});
  CHECK(report.find("ranking")->as_array()[0].string_or("reason", "") ==
        "GLX nothing, Vulkan hardware (Apple M1), EGL nothing");
  CHECK(report.find("fields")->as_array().empty());
}
