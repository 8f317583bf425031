// The scripts of the probes, run by each shell of this machine over a stack of made-up tools.
#include "probe/probe_script.hpp"

#include "support/temp_dir.hpp"
#include "sys/process.hpp"

#include <doctest/doctest.h>

#include <unistd.h>

#include <filesystem>

using namespace orch;
using namespace orch::probe;
using Words = std::vector<std::string>;

namespace {

constexpr const char* k_mark = "probe7f3a";

std::vector<Words> shells() {
  std::vector<Words> out;
  for (const Words& shell : {Words{"dash"}, Words{"bash", "--posix"}, Words{"busybox", "sh"}})
    if (sys::find_program(shell[0], "/usr/bin:/bin")) out.push_back(shell);
  return out;
}

class Stack {
 public:
  void tool(const std::string& path, const std::string& script) const {
    const std::string file = place_.write(path, "#!/bin/sh\n" + script + "\n");
    std::filesystem::permissions(file, std::filesystem::perms::owner_all);
  }
  const std::string& root() const { return place_.path(); }
  std::string write(const std::string& path, const std::string& text) const {
    return place_.write(path, text);
  }

 private:
  test::TempDir place_;
};

ProbeOutput ask(const Words& shell, ProbeKind kind, const Stack& stack,
                const sys::Environment& environment = {}, const std::string& machine = {}) {
  sys::Command command;
  command.argv = shell;
  for (const std::string& word : probe_script(kind, stack.root(), k_mark, machine))
    command.argv.push_back(word);
  command.environment = sys::Environment{{"PATH", "/usr/bin:/bin"}};
  for (const auto& [name, value] : environment) (*command.environment)[name] = value;
  sys::SystemProcessRunner processes;
  const auto exit = processes.run(command);
  REQUIRE(exit);
  CHECK(exit->errors.empty());
  CHECK(exit->status == 0);
  return parse_probe_output(exit->output, k_mark);
}

}  // namespace

TEST_CASE("one tool that fails, prints no end of line, or is absent hides no other's result") {
  const Stack stack;
  stack.tool("usr/bin/glxinfo", "printf 'no end of line'; exit 3");
  stack.tool("bin/vulkaninfo", "echo GPU0:; echo \"got $*\"; echo trouble >&2");
  for (const Words& shell : shells()) {
    CAPTURE(shell[0]);
    const ProbeOutput out =
        ask(shell, ProbeKind::gpu, stack, {{"LIBGL_ALWAYS_SOFTWARE", "1"}, {"DISPLAY", ""}});
    CHECK(out.complete);
    REQUIRE(out.variables.size() == 2);
    CHECK(out.variables[0] == std::pair<std::string, std::string>{"DISPLAY", ""});
    CHECK(out.variables[1] == std::pair<std::string, std::string>{"LIBGL_ALWAYS_SOFTWARE", "1"});
    REQUIRE(out.sections.size() == 3);
    CHECK(out.sections[0].tool == "glxinfo");
    CHECK(to_string(out.sections[0].state) == "failed");
    CHECK(out.sections[0].status == 3);
    CHECK(out.sections[0].text == "no end of line\n");
    CHECK(out.sections[1].tool == "eglinfo");
    CHECK(to_string(out.sections[1].state) == "absent");
    CHECK(to_string(out.sections[2].state) == "ok");
    CHECK(out.sections[2].text == "GPU0:\ngot --summary\ntrouble\n");
  }
}

TEST_CASE("eglinfo counts the platforms that did not start, which is no failure while one did") {
  const Stack stack;
  const auto egl = [&stack](const std::string& script) {
    stack.tool("usr/bin/eglinfo", script);
    return ask(shells().front(), ProbeKind::gpu, stack).sections[1];
  };
  const std::string none = "echo 'GBM platform:'; echo 'eglinfo: eglInitialize failed'; echo;";
  const std::string one = "echo 'X11 platform:'; echo 'EGL API version: 1.5';";
  const Section counted = egl(none + none + one + "exit 2");
  CHECK(to_string(counted.state) == "ok");
  CHECK(counted.status == 2);
  CHECK(to_string(egl(none + one + "exit 2").state) == "failed");
  CHECK(to_string(egl(one + "exit 1").state) == "failed");
  CHECK(to_string(egl(none + "exit 1").state) == "failed");
  const Section crashed = egl(one + "kill -SEGV $$");
  CHECK(to_string(crashed.state) == "failed");
  CHECK(crashed.status == 139);
}

TEST_CASE("a tool that ends well and says nothing of a driver has failed") {
  const Stack stack;
  stack.tool("usr/bin/glxinfo", "echo \"Error: couldn't find RGB GLX visual or fbconfig\"");
  const Section section = ask(shells().front(), ProbeKind::gpu, stack).sections[0];
  CHECK(to_string(section.state) == "failed");
  CHECK(section.status == 0);
}

TEST_CASE("a tool on PATH that the stack has not got is absent") {
  const Stack stack;
  const Stack host;
  host.tool("xdpyinfo", "echo the host\\'s");
  stack.write("usr/bin/xdpyinfo", "not a program");
  for (const Words& shell : shells()) {
    const ProbeOutput out = ask(shell, ProbeKind::display, stack, {{"PATH", host.root() + ":/usr/bin:/bin"}});
    REQUIRE(out.sections.size() == 1);
    CHECK(to_string(out.sections[0].state) == "absent");
  }
}

TEST_CASE("devices") {
  using Devices = std::vector<std::pair<std::string, std::string>>;
  const Stack machine;
  for (const char* node : {"dev/dri/renderD128", "dev/input/event0", "dev/hidraw3", "dev/kvm"})
    machine.write(node, "");
  machine.write("sys/bus/usb/devices/1-1/idVendor", "046d\n");
  machine.write("sys/bus/usb/devices/1-1/idProduct", "c52b\n");
  machine.write("sys/bus/usb/devices/1-1/product", "USB Receiver\n");
  machine.write("sys/bus/usb/devices/usb1-hub/speed", "480\n");
  for (const Words& shell : shells()) {
    const ProbeOutput out = ask(shell, ProbeKind::devices, Stack(), {}, machine.root());
    CHECK(out.complete);
    CHECK(out.sections.empty());
    CHECK(out.closed.empty());
    CHECK(out.devices == Devices{{"dri/renderD128", "rw"},
                                 {"input/event0", "rw"},
                                 {"hidraw3", "rw"},
                                 {"kvm", "rw"},
                                 {"usb", "046d:c52b USB Receiver"}});
    CHECK(ask(shell, ProbeKind::devices, Stack(), {}, Stack().root()).devices.empty());
  }
}

TEST_CASE("devices that may not be read") {
  namespace fs = std::filesystem;
  const Stack machine;
  const fs::path root = machine.root();
  machine.write("dev/dri/renderD128", "");
  machine.write("dev/input/event0", "");
  fs::permissions(root, fs::perms::others_read | fs::perms::others_exec, fs::perm_options::add);
  fs::permissions(root / "dev/dri/renderD128", fs::perms::none);
  fs::permissions(root / "dev/input", fs::perms::none);
  Words shell = shells().front();
  if (::geteuid() == 0)  // who may read all
    shell.insert(shell.begin(), {"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"});
  const ProbeOutput out = ask(shell, ProbeKind::devices, Stack(), {}, machine.root());
  fs::permissions(root / "dev/input", fs::perms::owner_all);
  CHECK(out.closed == std::vector<std::string>{"dev/input"});
  CHECK(out.devices == std::vector<std::pair<std::string, std::string>>{{"dri/renderD128", "-"}});
}

TEST_CASE("what came over a terminal, was cut off, or is not the script's") {
  const ProbeOutput out = parse_probe_output(
      "launcher's line\r\n\r\nM variable DISPLAY :1 with spaces\r\n\r\nM begin a\r\none\r\n\r\ntwo\r\n\r\nM "
      "end a 0\r\n"
      "another line\r\n\r\nM begin b\r\nhangs\r\n\r\nM end b 137\r\n\r\nM begin c\r\ncut",
      "M");
  CHECK_FALSE(out.complete);
  REQUIRE(out.variables.size() == 1);
  CHECK(out.variables[0].second == ":1 with spaces");
  REQUIRE(out.sections.size() == 3);
  CHECK(out.sections[0].text == "one\n\ntwo\n");
  CHECK(to_string(out.sections[1].state) == "timed out");
  CHECK(to_string(out.sections[2].state) == "failed");
  CHECK(out.sections[2].text == "cut\n");
  CHECK(out.sections[1].status == 137);
  CHECK_FALSE(out.sections[2].status);
  CHECK(out.begun);
  CHECK_FALSE(parse_probe_output("launcher's line\nMother\n", "M").begun);
}

TEST_CASE("kinds by name") {
  for (const ProbeKind kind : {ProbeKind::display, ProbeKind::gpu, ProbeKind::devices})
    CHECK(parse_probe_kind(to_string(kind)) == kind);
  CHECK_FALSE(parse_probe_kind("sound"));
}
