#include "launch/native.hpp"

#include "launch/binds.hpp"
#include "launch/environment.hpp"
#include "launch/guest_script.hpp"
#include "launch/launcher.hpp"
#include "launch/mount_view.hpp"
#include "launch/muvm_check.hpp"
#include "launch/vm_lock.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace orch::launch;
using orch::model::LaunchSpec;
using orch::sys::Environment;

namespace {

std::vector<std::string> paths_of(const std::vector<Bind>& binds) {
  std::vector<std::string> out;
  for (const Bind& bind : binds) out.push_back(bind.path);
  return out;
}

bool has(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace

TEST_CASE("the launcher follows the machine") {
  CHECK(*choose_launcher("auto", "aarch64") == "muvm");
  CHECK(*choose_launcher("auto", "x86_64") == "native");
  CHECK(*choose_launcher("muvm", "x86_64") == "muvm");
  CHECK_FALSE(choose_launcher("auto", "riscv64"));
  CHECK_FALSE(choose_launcher("qemu", "x86_64"));
}

TEST_CASE("a native run sees the host's places, not its system") {
  LaunchSpec spec;
  spec.appdir = "/var/cache/x/tree";
  spec.appimage = "/usr/local/bin/Hello.AppImage";
  spec.directory = "/project/here";
  const auto binds = plan_binds(spec, {{"HOME", "/home/u"}, {"XDG_RUNTIME_DIR", "/run/user/7"}});
  const std::vector<std::string> paths = paths_of(binds);
  CHECK(std::is_sorted(paths.begin(), paths.end()));
  CHECK(has(paths, "/var/cache/x/tree"));
  CHECK(has(paths, "/project/here"));
  CHECK(has(paths, "/run/user/7"));
  CHECK(has(paths, "/usr/local/bin/Hello.AppImage"));  // the file, not its directory
  CHECK_FALSE(has(paths, "/usr/local/bin"));
  CHECK_FALSE(has(paths, "/home/u"));  // /home shows it
  for (const Bind& bind : binds)
    if (bind.kind == Bind::Kind::tree) CHECK_FALSE(belongs_to_stack(bind.path));
}

TEST_CASE("a working directory of the system is the stack's") {
  for (const char* path : {"/", "/usr/lib", "/lib64", "/etc"}) {
    LaunchSpec spec;
    spec.directory = path;
    CHECK_FALSE(has(paths_of(plan_binds(spec, {})), path));
  }
  LaunchSpec spec;
  spec.directory = "/library";  // not below /lib
  CHECK(has(paths_of(plan_binds(spec, {})), "/library"));
}

TEST_CASE("the host's library variables stay outside, the profile's come in") {
  LaunchSpec spec;
  spec.appdir = "/a";
  spec.appimage = "/x.AppImage";
  spec.directory = "/w";
  spec.environment = {{"LD_LIBRARY_PATH", "${appdir}/lib"}, {"A", "1"}, {"A", "2"}};
  const Environment out = native_environment(spec, {{"LD_LIBRARY_PATH", "/host"},
                                                    {"LD_PRELOAD", "x"},
                                                    {"QT_PLUGIN_PATH", "/q"},
                                                    {"LANG", "C"},
                                                    {"PATH", "/opt/bin"},
                                                    {"APPDIR", "/outer"}});
  CHECK(out == Environment{{"LD_LIBRARY_PATH", "/a/lib"},
                           {"LANG", "C"},
                           {"PATH", k_guest_path},
                           {"APPDIR", "/a"},
                           {"APPIMAGE", "/x.AppImage"},
                           {"ARGV0", "/x.AppImage"},
                           {"OWD", "/w"},
                           {"A", "2"}});
}

TEST_CASE("a failure in the child survives the pipe") {
  const SetupFailure failure{"bind", 13, "/a b", "detail"};
  const auto back = decode(encode(failure));
  REQUIRE(back);
  CHECK(back->step == "bind");
  CHECK(back->number == 13);
  CHECK(back->path == "/a b");
  CHECK(back->detail == "detail");
  CHECK_FALSE(decode(""));
  CHECK_FALSE(decode("bind"));
}

TEST_CASE("guest_pre commands run in a shell before the application") {
  LaunchSpec spec;
  spec.appdir = "/a";
  spec.args = {"x"};
  CHECK(guest_command(spec) == std::vector<std::string>{"/a/AppRun", "x"});
  spec.guest_pre = {"export A=${appdir}"};
  const auto words = guest_command(spec);
  CHECK(words[0] == "/bin/sh");
  CHECK(words[2].find("command eval 'export A=/a' 3>&- 4>&-; }") != std::string::npos);
  CHECK(words[4] == "/a/AppRun");
}

TEST_CASE("exit statuses are those of podman run") {
  Outcome outcome;
  outcome.kind = Outcome::Kind::exited;
  outcome.status = 3;
  CHECK(outcome.exit_status() == 3);
  outcome.kind = Outcome::Kind::signaled;
  outcome.signal = 11;
  CHECK(outcome.exit_status() == 139);
  outcome.kind = Outcome::Kind::interrupted;
  outcome.signal = 2;
  CHECK(outcome.exit_status() == 130);
  outcome.kind = Outcome::Kind::timed_out;
  CHECK(outcome.exit_status() == 124);
  outcome.kind = Outcome::Kind::launch_failed;
  outcome.status = 0;
  CHECK(outcome.exit_status() == 125);
  outcome.status = 127;
  CHECK(outcome.exit_status() == 127);
}

TEST_CASE("the holder of the VM lock is read from /proc/locks") {
  const char* text =
      "1: POSIX  ADVISORY  WRITE 12 00:1a:77 0 EOF\n"
      "2: FLOCK  ADVISORY  WRITE 4711 00:1a:77 0 EOF\n"
      "2: -> FLOCK  ADVISORY  WRITE 13 00:1a:77 0 EOF\n"
      "3: FLOCK  ADVISORY  WRITE 14 00:1a:78 0 EOF\n";
  CHECK(lock_holder(text, 0, 0x1a, 77) == 4711);
  CHECK(lock_holder(text, 0, 0x1a, 78) == 14);
  CHECK_FALSE(lock_holder(text, 0, 0x1a, 79));
  CHECK_FALSE(lock_holder(text, 0, 0x2a, 77));
}

TEST_CASE("the VM has a /run and a /dev of its own") {
  CHECK(is_hidden_in_guest("/run/media/u/x.AppImage"));
  CHECK(is_hidden_in_guest("/dev/shm/x"));
  CHECK_FALSE(is_hidden_in_guest("/runtime/x"));
  CHECK_FALSE(is_hidden_in_guest("/home/u/run/x"));
}
