#include "package/lock_file.hpp"

#include "package/resolve.hpp"
#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <string>

using orch::base::Value;
using orch::package::compare_locks;
using orch::package::LayerRequest;
using orch::package::LockedLayer;
using orch::package::LockedPackage;
using orch::package::LockFile;

namespace {

LockedPackage package(std::string name, std::string version, std::string reason = "required") {
  LockedPackage result;
  result.name = std::move(name);
  result.version = std::move(version);
  result.architecture = "amd64";
  result.sha256 = orch::hash::sha256_of(result.name);
  result.size = 1234;
  result.path = "pool/main/" + result.name + ".deb";
  result.reason = std::move(reason);
  return result;
}

LayerRequest request(std::string name, std::vector<std::string> packages) {
  LayerRequest result;
  result.name = std::move(name);
  result.source.name = "auto";
  result.source.host = true;
  result.packages = std::move(packages);
  return result;
}

LockFile sample() {
  LockFile lock;
  lock.layers.push_back({"base", "auto", "apt host", {"libc6"}, {}, {package("libc6", "2.36-9", "asked")}});
  lock.layers.push_back({"deps-jq",
                         "auto",
                         "apt host",
                         {"libjq1"},
                         {{"libc6", "2.36-9", "base"}},
                         {package("libjq1", "1:1.6~a+b", "asked")}});
  return lock;
}

std::string parse_error(const std::string& text) {
  const auto lock = LockFile::parse("x.lock.toml", text);
  return lock ? "no error" : lock.error().where->location() + ": " + lock.error().what;
}

std::string with_package(const std::string& line) {
  return "version = 1\n[[layer]]\nname = 'a'\nsource = 's'\nsource_identity = 'i'\npackages = "
         "[]\n[[layer.package]]\n"
         "name = 'ab'\nversion = '1'\narchitecture = 'amd64'\nsha256 = '" +
         std::string(64, '0') + "'\nsize = 1\nreason = 'asked'\n" + line;
}

}  // namespace

TEST_SUITE("package/lock_file") {
  TEST_CASE("what is written is read back, and has this form") {
    const std::string text = sample().to_toml();
    const auto read = LockFile::parse("x.lock.toml", text);
    if (!read) FAIL(orch::base::render(read.error()));
    CHECK(*read == sample());
    CHECK(text.find(
              "version = 1\n\n[[layer]]\nname = \"base\"\nsource = \"auto\"\nsource_identity = \"apt host\"\n"
              "packages = [\"libc6\"]\n\n[[layer.package]]\nname = \"libc6\"\nversion = \"2.36-9\"\n"
              "architecture = \"amd64\"\nsha256 = \"") != std::string::npos);
    CHECK(text.find("\n[[layer.provided]]\nname = \"libc6\"\nversion = \"2.36-9\"\nlayer = \"base\"\n") !=
          std::string::npos);
  }

  TEST_CASE("saving equal bytes writes nothing") {
    const orch::test::TempDir dir;
    CHECK(sample().save(dir / "a.lock.toml").value());
    CHECK_FALSE(sample().save(dir / "a.lock.toml").value());
    CHECK(LockFile::load(dir / "a.lock.toml").value().value() == sample());
    CHECK_FALSE(LockFile::load(dir / "absent.lock.toml").value().has_value());
  }

  TEST_CASE("mistakes have a place") {
    CHECK(parse_error("version = 2\n").find("x.lock.toml:1:11: this lock file has version 2") == 0);
    CHECK(parse_error("layer = []\n").find(": a lock file begins with 'version', an integer") !=
          std::string::npos);
    CHECK(parse_error("version = 1\nlayers = []\n")
              .find("x.lock.toml:2:1: unknown key 'layers' in a lock file") == 0);
    CHECK(parse_error("version = 1\n[[layer]]\nname = 3\n")
              .find("x.lock.toml:3:8: 'name' must be a string, found integer") == 0);
    CHECK(parse_error(with_package("")) == "no error");
    CHECK(parse_error(with_package("extra = 1\n"))
              .find("x.lock.toml:14:1: unknown key 'extra' in a locked package") == 0);
    CHECK(parse_error(with_package("path = '../x'\n")).find("must be relative and without '..'") !=
          std::string::npos);
  }

  TEST_CASE("names that could become options, patterns or paths are refused") {
    using orch::package::is_package_name;
    using orch::package::is_package_version;
    CHECK(is_package_name("libstdc++6"));
    CHECK(is_package_name("gcc-12-base"));
    for (const char* name : {"", "a", "-o", "Lib", "lib*", "../x", "a b", "?all", "lib_x", "x:i386"})
      CHECK_FALSE(is_package_name(name));
    CHECK(is_package_version("2:1.6~rc1+b2-1"));
    for (const char* version : {"", "-1", "1 2", "1/2", "1;2", "1\n"})
      CHECK_FALSE(is_package_version(version));
  }

  TEST_CASE("archive names are one safe path component") {
    CHECK(archive_file_name(package("libjq1", "1:1.6~a+b")) == "libjq1_1%3a1.6~a+b_amd64.deb");
  }

  TEST_CASE("a lock fits until the profile, or a layer below, changes") {
    const LockFile lock = sample();
    const auto base = request("base", {"libc6"});
    const auto deps = request("deps-jq", {"libjq1"});
    CHECK_FALSE(lock.mismatch({base, deps}).has_value());
    CHECK(lock.mismatch({base, request("deps-jq", {"libjq1", "libonig5"})}).value() ==
          "the packages of layer 'deps-jq' have changed");
    CHECK(lock.mismatch({base, request("other", {"libjq1"})}).value() == "layer 'other' is not locked");
    CHECK(lock.mismatch({base}).value() == "the lock file has a layer that the profile has not");
    CHECK(lock.mismatch({deps, base}).value() == "layer 'deps-jq' relied on package 'libc6' in layer 'base'");
    auto other = base;
    other.source.host = false;
    other.source.suites = {"x"};
    CHECK(lock.mismatch({other, deps}).value() == "the source of layer 'base' has changed");
    LockFile overlapping = lock;
    overlapping.layers[1].packages.push_back(package("libc6", "2.36-9"));
    CHECK(overlapping.mismatch({base, deps}).value() ==
          "layer 'deps-jq' has package 'libc6', which layer 'base' has now");
  }

  TEST_CASE("a locked profile has its packages in the layers that fit, and only there") {
    orch::model::Profile profile;
    Value layers = Value::array();
    for (const char* name : {"base", "deps-jq"}) {
      const bool base = std::string_view(name) == "base";
      layers.push(Value::object({{"name", name},
                                 {"kind", "packages"},
                                 {"packages", Value::strings({base ? "libc6" : "something-else"})},
                                 {"source_name", "auto"}}));
    }
    layers.push(Value::object({{"name", "x"}, {"kind", "file"}}));
    profile.value.set("layers", layers);
    REQUIRE(apply_lock(profile, sample()).has_value());
    const auto& made = profile.value.find("layers")->as_array();
    REQUIRE(made[0].find("locked") != nullptr);
    CHECK(made[0].find("locked")->as_array().at(0).string_or("name", "") == "libc6");
    CHECK(made[1].find("locked") == nullptr);
    const auto back = orch::package::packages_from_value(*made[0].find("locked"));
    REQUIRE(back.has_value());
    CHECK(*back == sample().layers[0].packages);
  }

  TEST_CASE("the lock lies beside the profile, or for built-in ones with the user's") {
    orch::model::Profile profile;
    profile.path = "/a/b/hello.toml";
    CHECK(orch::package::lock_path(profile, "/u") == "/a/b/hello.lock.toml");
    profile.built_in = true;
    CHECK(orch::package::lock_path(profile, "/u") == "/u/hello.lock.toml");
  }

  TEST_CASE("two locks are compared package by package") {
    LockFile after = sample();
    after.layers[0].packages[0].version = "2.36-10";
    after.layers[1].packages = {package("libonig5", "6.9")};
    const auto changes = compare_locks(sample(), after);
    REQUIRE(changes.size() == 3);
    CHECK(changes[0].name == "libc6");
    CHECK(changes[0].before == "2.36-9");
    CHECK(changes[0].after == "2.36-10");
    CHECK(changes[1].name == "libjq1");
    CHECK(changes[1].after.empty());
    CHECK(changes[2].name == "libonig5");
    CHECK(changes[2].before.empty());
    CHECK(compare_locks(sample(), {}).size() == 2);
  }
}
