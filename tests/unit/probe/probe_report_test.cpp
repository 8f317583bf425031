#include "probe/probe_report.hpp"

#include <doctest/doctest.h>

using namespace orch::probe;

namespace {

ProbeOutput of_display(const std::string& name) {
  ProbeOutput out;
  out.variables = {{"DISPLAY", name}};
  out.sections = {{"xdpyinfo", Section::State::ok, 0, "name of display: " + name + "\nvendor string: X\n"}};
  out.complete = true;
  return out;
}

}  // namespace

TEST_CASE("a display that is another than the launcher promises") {
  const orch::base::Value other = probe_report(ProbeKind::display, of_display(":0"), ":1");
  CHECK_FALSE(other.find_path("display.as_promised")->as_bool());
  CHECK(other.find_path("display.answers")->as_bool());
  CHECK_FALSE(other.bool_or("complete", true));
  const orch::base::Value same = probe_report(ProbeKind::display, of_display(":1"), ":1");
  CHECK(same.find_path("display.as_promised")->as_bool());
  CHECK(same.bool_or("complete", false));
  const orch::base::Value nothing = probe_report(ProbeKind::display, of_display(":0"));
  CHECK(nothing.find_path("display.as_promised")->is_null());
  CHECK(nothing.bool_or("complete", false));
}

TEST_CASE("a guest without a display") {
  ProbeOutput output = of_display(":1");
  output.variables.clear();
  output.sections[0] = {"xdpyinfo", Section::State::failed, 1, "unable to open display"};
  const orch::base::Value report = probe_report(ProbeKind::display, output, ":1");
  CHECK(report.find_path("display.name")->is_null());
  CHECK_FALSE(report.find_path("display.as_promised")->as_bool());
  CHECK_FALSE(report.find_path("display.answers")->as_bool());
  CHECK(probe_report(ProbeKind::gpu, output).find("display")->is_null());
}

TEST_CASE("the script was ended by its first tool") {
  ProbeOutput output;
  output.sections = {{"glxinfo", Section::State::failed, {}, "OpenGL renderer string: Apple M1\n"}};
  const orch::base::Value report = probe_report(ProbeKind::gpu, output);
  CHECK_FALSE(report.bool_or("finished", true));
  CHECK_FALSE(report.bool_or("complete", true));
  std::vector<std::string> states;
  for (const auto& tool : report.find("tools")->as_array()) {
    states.push_back(tool.string_or("tool", "") + " " + tool.string_or("state", ""));
    CHECK(tool.find("status")->is_null());
  }
  CHECK(states == std::vector<std::string>{"glxinfo failed", "eglinfo not asked", "vulkaninfo not asked"});
  CHECK(report.find("renderers")->as_array().size() == 1);
}

TEST_CASE("each kind of device is told, also what there is none of") {
  ProbeOutput output;
  output.devices = {
      {"dri/renderD128", "rw"}, {"dri/card0", "rw"}, {"input/event0", "-"}, {"usb", "046d:c52b Receiver"}};
  output.closed = {"run/pcscd"};
  const auto kinds = [&output] {
    std::vector<std::string> out;
    const orch::base::Value report = probe_report(ProbeKind::devices, output);
    for (const auto& kind : report.find("kinds")->as_array()) {
      out.push_back(kind.string_or("name", "") + ": " + kind.string_or("state", ""));
      for (const auto& device : kind.find("devices")->as_array()) out.back() += " " + device.as_string();
    }
    return out;
  };
  CHECK(kinds().empty());  // not looked at to the end
  output.complete = true;
  CHECK(kinds() ==
        std::vector<std::string>{"render: there dri/renderD128", "input: not readable input/event0",
                                 "usb: there 046d:c52b Receiver", "hidraw: absent", "pcsc: not readable"});
}

TEST_CASE("platforms of EGL that did not start, and what the tools' overlay is") {
  ProbeOutput output;
  output.complete = true;
  const std::string failed = " platform:\neglinfo: eglInitialize failed\n\n";
  output.sections = {{"eglinfo", Section::State::ok, 3, "X11" + failed + "GBM" + failed + "GBM" + failed}};
  const orch::base::Value report = probe_report(ProbeKind::gpu, output, {}, {{"mesa-utils"}, "no source"});
  CHECK(*report.find("egl_failed") == orch::base::Value::strings({"X11", "GBM"}));
  CHECK(report.find_path("overlay.problem")->as_string() == "no source");
  CHECK(*report.find_path("overlay.packages") == orch::base::Value::strings({"mesa-utils"}));
  CHECK(probe_report(ProbeKind::gpu, output).find("overlay")->is_null());
}
