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
