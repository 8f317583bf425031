#include "launch/muvm_command.hpp"

#include "base/text.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace orch::launch;
using orch::model::LaunchSpec;
using Words = std::vector<std::string>;

namespace {

constexpr const char* k_plain_script = "cd -- \"$1\" || exit 125\nshift\nexec \"$@\"\n";

LaunchSpec hello() {
  LaunchSpec spec;
  spec.appdir = "/c/app";
  spec.appimage = "/home/u/Hello.AppImage";
  spec.directory = "/home/u";
  spec.images = {{"/i/base.erofs", "base", ""}, {"/i/deps.erofs", "deps", ""}};
  spec.args = {"a", "b c"};
  return spec;
}

Words command(const LaunchSpec& spec, const MuvmFeatures& features = newest_muvm(),
              const orch::sys::Environment& host = {{"TERM", "xterm"}}) {
  return muvm_command(spec, "/usr/bin/muvm", features, host);
}

bool has(const Words& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace

TEST_CASE("the canonical command line") {
  LaunchSpec spec = hello();
  spec.gpu_mode = "venus";
  spec.environment = {{"HOME2", "${appdir}/usr"}};
  CHECK(command(spec) == Words{"/usr/bin/muvm",
                               "--interactive",
                               "--tty",
                               "--emu=fex",
                               "--gpu-mode=venus",
                               "-f",
                               "/i/base.erofs",
                               "-f",
                               "/i/deps.erofs",
                               "-e",
                               "FEX_ROOTFS=/run/fex-emu/rootfs",
                               "-e",
                               "TERM=xterm",
                               "-e",
                               "APPDIR=/c/app",
                               "-e",
                               "APPIMAGE=/home/u/Hello.AppImage",
                               "-e",
                               "ARGV0=/home/u/Hello.AppImage",
                               "-e",
                               "OWD=/home/u",
                               "-e",
                               "HOME2=/c/app/usr",
                               "--",
                               "/bin/sh",
                               "-c",
                               k_plain_script,
                               "appimage-orch",
                               "/home/u",
                               "/c/app/AppRun",
                               "a",
                               "b c"});
}

TEST_CASE("an option that the help does not name is never passed") {
  LaunchSpec spec = hello();
  spec.gpu_mode = "drm";
  const Words old =
      command(spec, muvm_features("Usage: muvm [--vram=X] [-f=PATH]... --tty --emu=EMU\n--execute-pre"));
  CHECK(has(old, "--emu=fex"));
  CHECK_FALSE(has(old, "--gpu-mode=drm"));
  const Words older = command(spec, muvm_features("Usage: muvm --vram"));
  CHECK_FALSE(has(older, "--emu=fex"));
}

TEST_CASE("without images there is no FEX_ROOTFS") {
  LaunchSpec spec = hello();
  spec.images.clear();
  CHECK_FALSE(has(command(spec), "FEX_ROOTFS=/run/fex-emu/rootfs"));
}

TEST_CASE("what muvm cannot carry goes into the script") {
  LaunchSpec spec = hello();
  spec.args = {"--help", "it's", "\xff\n"};
  const Words words = command(spec);
  const Words end(words.end() - 4, words.end());
  CHECK(end == Words{"/bin/sh", "-c",
                     "set -- /home/u /c/app/AppRun --help 'it'\\''s' \"$(printf '\\377')\"'\n'\n"
                     "cd -- \"$1\" || exit 125\nshift\nexec \"$@\"\n",
                     "appimage-orch"});
  CHECK_FALSE(has(words, "--help"));
  for (const std::string& word : words) CHECK(orch::base::is_utf8(word));
  spec.args = {"--help=1", "-hv"};
  CHECK(has(command(spec), "--help=1"));
}

TEST_CASE("values that are no UTF-8 are exported by the script") {
  LaunchSpec spec = hello();
  spec.environment = {{"X", "\xe9"}};
  const Words words = command(spec);
  for (const std::string& word : words) CHECK(orch::base::is_utf8(word));
  const auto script = std::find(words.begin(), words.end(), "-c") + 1;
  CHECK(script->find("export X=\"$(printf '\\351')\"\n") != std::string::npos);
}

TEST_CASE("what is no name of a variable is never text of the script") {
  LaunchSpec spec = hello();
  spec.environment = {{"A;echo injected;B", "\xff"}, {"A-B", "x"}};
  const Words words = command(spec);
  CHECK(has(words, "A-B=x"));
  for (const std::string& word : words) CHECK(word.find("injected") == std::string::npos);
}

TEST_CASE("the host's library path does not leak in, the profile's does") {
  LaunchSpec spec = hello();
  const orch::sys::Environment host = {{"LD_LIBRARY_PATH", "/opt/aarch64"}};
  CHECK(has(command(spec, newest_muvm(), host), "LD_LIBRARY_PATH="));
  spec.environment = {{"LD_LIBRARY_PATH", "/c/app/lib"}};
  const Words words = command(spec, newest_muvm(), host);
  CHECK(has(words, "LD_LIBRARY_PATH=/c/app/lib"));
  CHECK_FALSE(has(words, "LD_LIBRARY_PATH="));
}

TEST_CASE("HOME, which muvm sets itself, is exported by the script") {
  LaunchSpec spec = hello();
  spec.environment = {{"HOME", "/home/u/Hello.AppImage.home"}};
  const Words words = command(spec);
  CHECK_FALSE(has(words, "HOME=/home/u/Hello.AppImage.home"));
  const auto script = std::find(words.begin(), words.end(), "-c") + 1;
  CHECK(script->find("export HOME=/home/u/Hello.AppImage.home\n") != std::string::npos);
}

TEST_CASE("a muvm that has no --tty is not given one") {
  CHECK_FALSE(has(command(hello(), muvm_features("--vram --interactive")), "--tty"));
}

TEST_CASE("the release is told by the newest option in the help") {
  CHECK(muvm_features("--tty --emu --execute-pre").at_least == "0.4.0");
  CHECK(newest_muvm().at_least == "0.6.0");
  // --user-execute-pre alone is not --execute-pre
  CHECK_FALSE(muvm_features("--user-execute-pre").has("--execute-pre"));
}
