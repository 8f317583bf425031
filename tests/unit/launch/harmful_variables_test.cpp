#include "launch/harmful_variables.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

using namespace orch;
using launch::Check;
using launch::HarmfulVariable;

namespace {

std::vector<std::string> found(const model::LaunchSpec& spec, const sys::Environment& guest,
                               const sys::Environment& host) {
  launch::Host here;
  here.environment = host;
  std::vector<std::string> out;
  for (const Check& check : launch::check_variables(spec, guest, here))
    out.push_back(check.id + (check.status == Check::Status::ok ? " ok" : ""));
  return out;
}

model::LaunchSpec spec_of(const char* launcher, std::vector<std::pair<std::string, std::string>> given = {}) {
  model::LaunchSpec out;
  out.launcher = launcher;
  out.appdir = "/app";
  out.environment = std::move(given);
  return out;
}

// A value that the pattern fits.
std::string example(std::string_view pattern) {
  std::string out;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '[') {
      out += pattern[i + 1];
      i = pattern.find(']', i);
    } else {
      out += pattern[i] == '*' ? "x" : std::string(1, pattern[i]);
    }
  }
  return out;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("each pattern of each row is found, says why and what to do, and only for its launcher") {
  for (const HarmfulVariable& row : launch::harmful_variables())
    for (const std::string_view pattern : row.patterns) {
      if (pattern.empty()) continue;
      const std::string name(row.name);
      const std::string value = example(pattern);
      CAPTURE(name);
      CAPTURE(value);
      CHECK_FALSE(row.why.empty());
      CHECK_FALSE(row.remedy.empty());
      const bool tools = row.where == HarmfulVariable::Where::tools;
      const sys::Environment set = {{name, value}};
      const sys::Environment none;
      const auto spec = tools ? spec_of("muvm") : spec_of("muvm", {{name, value}});
      CHECK(found(spec, tools ? none : set, tools ? set : none) == Names{"variable-" + name});
      const bool muvm_only = row.launcher == HarmfulVariable::Launcher::muvm;
      const auto native = tools ? spec_of("native") : spec_of("native", {{name, value}});
      CHECK(found(native, tools ? none : set, tools ? set : none) ==
            Names{muvm_only ? "variables ok" : "variable-" + name});
    }
}

TEST_CASE("what the launcher sets by itself is no finding, and what does not reach the application neither") {
  const sys::Environment zink = {{"MESA_LOADER_DRIVER_OVERRIDE", "zink"}};
  CHECK(found(spec_of("muvm"), zink, {}) == Names{"variables ok"});
  CHECK(found(spec_of("muvm"), zink, {{"MESA_LOADER_DRIVER_OVERRIDE", "asahi"}}) == Names{"variables ok"});
  CHECK(found(spec_of("muvm"), zink, zink) == Names{"variable-MESA_LOADER_DRIVER_OVERRIDE"});
  CHECK(found(spec_of("muvm"), {}, zink) == Names{"variables ok"});
}

TEST_CASE("folders of the application are not the host's, and values that do no harm are none") {
  for (const char* value : {"/app/usr/lib", "/app/lib:/opt/x", ""})
    CHECK(found(spec_of("native", {{"LD_LIBRARY_PATH", value}}), {{"LD_LIBRARY_PATH", value}}, {}) ==
          Names{"variables ok"});
  CHECK(found(spec_of("native", {{"LD_LIBRARY_PATH", "${appdir}/lib:/usr/lib"}}),
              {{"LD_LIBRARY_PATH", "/app/lib:/usr/lib"}}, {}) == Names{"variable-LD_LIBRARY_PATH"});
  CHECK(found(spec_of("muvm", {{"GDK_BACKEND", "x11"}}), {{"GDK_BACKEND", "x11"}}, {}) ==
        Names{"variables ok"});
  CHECK(found(spec_of("muvm", {{"LIBGL_ALWAYS_SOFTWARE", "0"}}), {{"LIBGL_ALWAYS_SOFTWARE", "0"}}, {}) ==
        Names{"variables ok"});
}

TEST_CASE("a list of choices reaches X11 where any of them is X11's") {
  const auto of = [](const char* name, const char* value) {
    return found(spec_of("muvm", {{name, value}}), {{name, value}}, {});
  };
  for (const char* value : {"wayland,x11", "x11,wayland", "wayland, x11", "wayland,*", "*"})
    CHECK_MESSAGE(of("GDK_BACKEND", value) == Names{"variables ok"}, value);
  for (const char* value : {"wayland", "wayland,broadway", "broadway,wayland", "wayland,x110"})
    CHECK_MESSAGE(of("GDK_BACKEND", value) == Names{"variable-GDK_BACKEND"}, value);
  CHECK(of("QT_QPA_PLATFORM", "wayland;xcb") == Names{"variables ok"});
  for (const char* value : {"wayland", "wayland-egl;wayland"})
    CHECK_MESSAGE(of("QT_QPA_PLATFORM", value) == Names{"variable-QT_QPA_PLATFORM"}, value);
  CHECK(of("SDL_VIDEODRIVER", "wayland,x11") == Names{"variables ok"});
}
