#include "launch/muvm_arguments.hpp"

#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace orch::launch;
using Words = std::vector<std::string>;

namespace {

Check check(const Words& words, const std::string& directory = "/") {
  return check_muvm_arguments(words, newest_muvm(), directory);
}

}  // namespace

TEST_CASE("options of muvm with values of their kind are passed on") {
  for (const Words& words :
       {Words{}, Words{"--mem=4096"}, Words{"--mem", "4096", "--vram", "0"},
        Words{"--privileged", "--merged-rootfs"},
        Words{"--publish=80", "--publish", "81:82/tcp", "--cpu-list=0,5"}, Words{"--passt-args=-4"},
        Words{"--execute-pre", "bin/sh", "--execute-pre=/bin/true", "--user-execute-pre=bin"}}) {
    const Check got = check(words);
    CAPTURE(got.detail);
    CHECK(got.status == Check::Status::ok);
  }
}

TEST_CASE("words that would reach the application, or make muvm fail, are refused with what to do") {
  struct Row {
    Words words;
    const char* detail;
  };
  const Row rows[] = {
      {{"/bin/echo"}, "'/bin/echo' in [launch] muvm_args: it is no option, nor the value of one"},
      {{""}, "'' in [launch] muvm_args: it is no option"},
      {{"--merged-rootfs", "x"}, "'x' in [launch] muvm_args: it is no option"},
      {{"--mem=1", "2"}, "'2' in [launch] muvm_args: it is no option"},
      {{"--privileged=yes"}, "'--privileged=yes' in [launch] muvm_args: it takes no value"},
      {{"--privileged="}, "it takes no value"},
      {{"--privileged", "--privileged"}, "muvm takes it once"},
      {{"--mem=1", "--mem=1"}, "muvm takes it once"},
      {{"--mem=4G"}, "'4G' is not a number of MiB"},
      {{"--mem", "4G"}, "'4G' is not a number of MiB"},
      {{"--vram="}, "'' is not a number of MiB"},
      {{"--vram=4294967296"}, "is not a number of MiB"},
      {{"--mem"}, "its value is missing"},
      {{"--passt-args", "-4"}, "its value is missing"},
      {{"--publish", ""}, "its value is empty"},
      {{"--publish=\xff"}, "muvm takes UTF-8 only"},
      {{"--execute-pre=no/where"}, "'/no/where' does not exist"},
      {{"--no-such"}, "this muvm has no such option"},
      {{"--"}, "appimage-orch sets it by itself"},
      {{"--emu=box"}, "appimage-orch sets it by itself"},
      {{"-c", "1"}, "only long options are known here"},
  };
  for (const Row& row : rows) {
    const Check got = check(row.words, "");
    CAPTURE(row.detail);
    CAPTURE(got.detail);
    CHECK(got.status == Check::Status::failed);
    CHECK(got.detail.find(row.detail) != std::string::npos);
    CHECK_FALSE(got.remedy.empty());
  }
}

TEST_CASE("an option of a later release is what its help shows") {
  const MuvmFeatures later = muvm_features("    --speed=N  how\n    --quiet  hush\n");
  CHECK(check_muvm_arguments({"--speed", "3", "--speed=4", "--quiet"}, later, "/").status ==
        Check::Status::ok);
  CHECK(check_muvm_arguments({"--speed"}, later, "/").status == Check::Status::failed);
  CHECK(check_muvm_arguments({"--quiet", "3"}, later, "/").status == Check::Status::failed);
  CHECK(check_muvm_arguments({"--quiet=3"}, later, "/").status == Check::Status::failed);
  CHECK(check_muvm_arguments({"--mem=3"}, later, "/").status == Check::Status::failed);
}
