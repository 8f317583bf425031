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
  lock.layers.push_back(
      {"base", "auto", "apt host", {"libc6"}, {}, {package("libc6", "2.36-9", "asked")}, {}, false});
  lock.layers.push_back({"deps-jq",
                         "auto",
                         "apt host",
                         {"libjq1"},
                         {{"libc6", "2.36-9", "base", ""}},
                         {package("libjq1", "1:1.6~a+b", "asked")},
                         {},
                         false});
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
              "version = 2\n\n[[layer]]\nname = \"base\"\nsource = \"auto\"\nsource_identity = \"apt host\"\n"
              "packages = [\"libc6\"]\n\n[[layer.package]]\nname = \"libc6\"\nversion = \"2.36-9\"\n"
              "architecture = \"amd64\"\nsha256 = \"") != std::string::npos);
    CHECK(text.find("\n[[layer.provided]]\nname = \"libc6\"\nversion = \"2.36-9\"\nlayer = \"base\"\n") !=
          std::string::npos);
  }

  TEST_CASE("everything that a lock can hold is written and read back") {
    LockFile lock = sample();
    lock.base = {"fedora", "42", "abc"};
    LockedLayer& layer = lock.layers[1];
    layer.allow_unsigned = true;
    layer.auto_packages = {{"liba.so.1", "a-libs"}, {"libb.so.1", "b-libs"}};
    layer.provided.push_back({"zlib", "", "base", "the base image has usr/lib64/libz.so.1"});
    layer.packages[0].origin = "Debian/bookworm";
    layer.packages[0].allow_unsigned = true;
    layer.packages.push_back(package("zz", "1", "provides liba.so.1"));
    layer.packages.back().architecture = "x86_64";
    layer.packages.back().allow_unsigned = true;
    orch::package::LockedImage image;
    image.name = "base";
    image.sha256 = orch::hash::sha256_of("x");
    image.size = 7;
    image.fex = "Fedora 42 (SquashFS)";
    image.url = "https://h/x.sqsh";
    image.xxh3 = "0123456789abcdef";
    lock.set_image(image);
    const std::string text = lock.to_toml();
    const auto read = LockFile::parse("x.lock.toml", text);
    if (!read) FAIL(orch::base::render(read.error()));
    CHECK(*read == lock);
    CHECK(read->to_toml() == text);
  }

  TEST_CASE("a file of version 1 is read, and becomes version 2") {
    const auto old = LockFile::parse("x.lock.toml", with_package(""));
    if (!old) FAIL(orch::base::render(old.error()));
    CHECK(old->layers.at(0).packages.at(0).name == "ab");
    CHECK(old->to_toml().find("version = 2\n") != std::string::npos);
    CHECK(LockFile::parse("x.lock.toml", old->to_toml()).value() == *old);
    LockFile required = sample();
    CHECK(required.layers[0].packages[0].reason == "asked");
    required.layers[0].packages[0].reason = "required";
    CHECK(LockFile::parse("x.lock.toml", required.to_toml()).value() == required);
  }

  TEST_CASE("another base of the distribution is a warning, another distribution an error") {
    using orch::package::check_base;
    CHECK_FALSE(check_base({}, {"debian", "12", "a"}).value().has_value());
    CHECK_FALSE(check_base({"debian", "12", "a"}, {"debian", "12", "a"}).value().has_value());
    CHECK(check_base({"debian", "12", "a"}, {"debian", "12", "b"}).value().value() ==
          "the base (debian 12) has other packages than when this was locked: the stack is checked again");
    CHECK(check_base({"debian", "12", "a"}, {"debian", "13", "a"}).value().value() ==
          "the base was debian 12 when the packages were locked, and is debian 13 now: the stack is checked "
          "again");
    const auto other = check_base({"debian", "12", "a"}, {"fedora", "42", "a"});
    CHECK(other.error().what ==
          "the lock file was made against a base of 'debian', and the base is now one of 'fedora'");
    CHECK(other.error().hint == "resolve for this base with 'appimage-orch lock --update'");
  }

  TEST_CASE("packages for missing libraries belong to the answer") {
    LockFile lock = sample();
    lock.layers[1].auto_packages = {{"liba.so.1", "a-libs"}};
    auto base = request("base", {"libc6"});
    auto deps = request("deps-jq", {"libjq1"});
    CHECK(lock.mismatch({base, deps}).value() ==
          "layer 'deps-jq' has packages for missing libraries, and the profile no longer says auto = true");
    deps.automatic = true;
    CHECK_FALSE(lock.mismatch({base, deps}).has_value());
    deps.auto_packages = {{"libb.so.1", "b-libs"}};
    CHECK(lock.mismatch({base, deps}).value() == "layer 'deps-jq' lacks package 'b-libs' for 'libb.so.1'");
  }

  TEST_CASE("a FEX layer takes the image that it names, and no other") {
    orch::model::Profile profile;
    profile.value.set("layers", Value::array());
    profile.value.find("layers")->push(
        Value::object({{"name", "base"}, {"kind", "fex"}, {"fex", "Fedora 42"}}));
    LockFile lock;
    orch::package::LockedImage image;
    image.name = "base";
    image.fex = "Fedora 41";
    lock.set_image(image);
    REQUIRE(apply_lock(profile, lock).has_value());
    CHECK(profile.value.find("layers")->as_array()[0].find("locked_image") == nullptr);
    image.fex = "Fedora 42";
    lock.set_image(image);
    REQUIRE(apply_lock(profile, lock).has_value());
    CHECK(profile.value.find("layers")->as_array()[0].find("locked_image") != nullptr);
  }

  TEST_CASE("saving equal bytes writes nothing") {
    const orch::test::TempDir dir;
    CHECK(sample().save(dir / "a.lock.toml").value());
    CHECK_FALSE(sample().save(dir / "a.lock.toml").value());
    CHECK(LockFile::load(dir / "a.lock.toml").value().value() == sample());
    CHECK_FALSE(LockFile::load(dir / "absent.lock.toml").value().has_value());
  }

  TEST_CASE("mistakes have a place") {
    CHECK(parse_error("version = 3\n").find("x.lock.toml:1:11: this lock file has version 3") == 0);
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
    LockFile rebuilt = sample();
    rebuilt.layers[0].packages[0].sha256 = orch::hash::sha256_of("other");
    CHECK(compare_locks(sample(), rebuilt).at(0).after == "2.36-9 (other bytes)");
    LockFile based = sample();
    based.base = {"debian", "12", "a"};
    CHECK(compare_locks(sample(), based).at(0).name == "distribution");
  }
}
