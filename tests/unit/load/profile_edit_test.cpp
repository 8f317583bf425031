#include "load/profile_edit.hpp"

#include "support/temp_dir.hpp"
#include "sys/file.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <string>

using orch::load::save_setting;
using orch::load::with_setting;

namespace {

std::string drm(const std::string& text) {
  const auto out = with_setting("p.toml", text, {"launch", "gpu_mode"}, "drm");
  return out ? *out : "error: " + out.error().what;
}

std::string variable(const std::string& text, const std::string& value = "v") {
  const auto out = with_setting("p.toml", text, {"app", "env", "NAME"}, value);
  return out ? *out : "error: " + out.error().what;
}

}  // namespace

TEST_SUITE("load/profile_edit") {
  TEST_CASE("a value is replaced where it stands, however it is written") {
    CHECK(drm("a = 1 # x\n[launch] # y\n  gpu_mode='auto'  # z\n") ==
          "a = 1 # x\n[launch] # y\n  gpu_mode=\"drm\"  # z\n");
    CHECK(drm("launch.gpu_mode = \"\"\"\nvenus\"\"\"\n[x]\n") == "launch.gpu_mode = \"drm\"\n[x]\n");
    CHECK(drm("\xEF\xBB\xBFlaunch = {vm=\"private\", gpu_mode=\"v\xC3\xA4nus\"}") ==
          "\xEF\xBB\xBFlaunch = {vm=\"private\", gpu_mode=\"drm\"}");
    CHECK(drm("[launch]\r\ngpu_mode = \"auto\"\r\n") == "[launch]\r\ngpu_mode = \"drm\"\r\n");
    CHECK(drm("[launch]\ngpu_mode = \"drm\"\n") == "[launch]\ngpu_mode = \"drm\"\n");
  }

  TEST_CASE("a key that is new goes into its table, however that is written") {
    CHECK(drm("[ \"launch\" ]  # y\nvm = \"private\"\n[x]\n") ==
          "[ \"launch\" ]  # y\ngpu_mode = \"drm\"\nvm = \"private\"\n[x]\n");
    CHECK(drm("  [launch]") == "  [launch]\n  gpu_mode = \"drm\"\n");
    CHECK(drm("[launch]\r\nvm = \"auto\"\r\n") == "[launch]\r\ngpu_mode = \"drm\"\r\nvm = \"auto\"\r\n");
    CHECK(drm("launch = { vm = \"auto\" }\n") == "launch = { gpu_mode = \"drm\", vm = \"auto\" }\n");
    CHECK(drm("launch = {}\n") == "launch = { gpu_mode = \"drm\" }\n");
    CHECK(drm("name = \"x\"\nlaunch.vm = \"auto\"\n[app]\n") ==
          "name = \"x\"\nlaunch.gpu_mode = \"drm\"\nlaunch.vm = \"auto\"\n[app]\n");
    CHECK(drm("[app]\nargs = [\"\"\"\n[launch]\n\"\"\"]\n") ==
          "[app]\nargs = [\"\"\"\n[launch]\n\"\"\"]\n\n[launch]\ngpu_mode = \"drm\"\n");
    CHECK(drm("[app]\nx = 1") == "[app]\nx = 1\n\n[launch]\ngpu_mode = \"drm\"\n");
    CHECK(drm("") == "[launch]\ngpu_mode = \"drm\"\n");
  }

  TEST_CASE("a variable of the application") {
    CHECK(variable("[app]\nx = 1\n") == "[app]\nenv.NAME = \"v\"\nx = 1\n");
    CHECK(variable("[app]\nenv = { A = \"b\" }\n") == "[app]\nenv = { NAME = \"v\", A = \"b\" }\n");
    CHECK(variable("[app]\nenv.A = \"b\"\n") == "[app]\nenv.NAME = \"v\"\nenv.A = \"b\"\n");
    CHECK(variable("[app]\nx = 1\n[app.env]\nA = \"b\"\n") ==
          "[app]\nx = 1\n[app.env]\nNAME = \"v\"\nA = \"b\"\n");
    CHECK(variable("[app]\nenv = { NAME = \"old\" }\n") == "[app]\nenv = { NAME = \"v\" }\n");
    CHECK(variable("", "a\"${b}") == "[app.env]\nNAME = \"a\\\"$${b}\"\n");
  }

  TEST_CASE("where there is no place for it, an error") {
    CHECK(drm("launch = 1\n").starts_with("error: 'p.toml' is written so that 'launch.gpu_mode'"));
    CHECK(drm("launch = \n").starts_with("error: "));
  }

  TEST_CASE("the file keeps its permissions, and a link stays one") {
    const orch::test::TempDir dir;
    dir.write("real.toml", "# mine\n");
    REQUIRE(::chmod((dir / "real.toml").c_str(), 0600) == 0);
    REQUIRE(::symlink("real.toml", (dir / "link.toml").c_str()) == 0);
    CHECK(save_setting(dir / "link.toml", {"launch", "gpu_mode"}, "drm").value());
    CHECK(orch::sys::read_file(dir / "real.toml").value() == "# mine\n\n[launch]\ngpu_mode = \"drm\"\n");
    CHECK((orch::sys::stat_file(dir / "real.toml")->st_mode & 07777) == 0600);
    CHECK(S_ISLNK(orch::sys::lstat_file(dir / "link.toml")->st_mode));
    CHECK_FALSE(save_setting(dir / "link.toml", {"launch", "gpu_mode"}, "drm").value());
  }
}
