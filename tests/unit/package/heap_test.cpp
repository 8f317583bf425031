// Sources without an index, and what they share with apt: control data, versions, Contents lines.
#include "package/apt_contents.hpp"
#include "package/apt_output.hpp"
#include "package/archive_cache.hpp"
#include "package/deb_control.hpp"
#include "package/deb_version.hpp"
#include "package/file_sources.hpp"
#include "support/rpm_writer.hpp"
#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <string>

using orch::package::compare_deb_versions;
using orch::package::ContentsScan;
using orch::package::HeapPackage;
using orch::package::resolve_in_heap;
using orch::test::TempDir;

namespace {

HeapPackage item(const std::string& name, std::vector<std::vector<std::string>> needs,
                 std::vector<std::string> provides = {}) {
  HeapPackage out;
  out.package.name = name;
  out.package.version = "1";
  out.package.architecture = "amd64";
  out.needs = std::move(needs);
  out.provides = std::move(provides);
  out.provides.push_back(name);
  return out;
}

std::string reasons(const orch::package::Resolution& resolution) {
  std::string out;
  for (const auto& package : resolution.packages) out += package.name + ": " + package.reason + "\n";
  for (const std::string& note : resolution.notes) out += "note: " + note + "\n";
  return out;
}

}  // namespace

TEST_SUITE("package/heap") {
  TEST_CASE("a closure is what was asked and what the heap has of its needs") {
    const std::vector<HeapPackage> heap = {item("app", {{"libx"}, {"absent", "virtual"}, {"libc6"}}),
                                           item("impl", {{"libx"}}, {"virtual"}), item("libx", {}),
                                           item("unrelated", {})};
    CHECK(reasons(resolve_in_heap("source 's'", heap, {"app"}).value()) ==
          "app: asked\nimpl: required by app\nlibx: required by app\nnote: 'app' needs 'libc6', which source "
          "'s' has "
          "not\n");
    CHECK(resolve_in_heap("source 's'", heap, {"ap"}).error().what == "source 's' has no package 'ap'");
    CHECK(resolve_in_heap("source 's'", heap, {"ap"}).error().hint == "did you mean 'app'?");
  }

  TEST_CASE(
      "one of several providers is taken: the real one, else one that is taken anyway, else the shortest") {
    std::vector<HeapPackage> heap = {item("app", {{"virtual"}, {"libx"}}),
                                     item("impl-a", {}, {"virtual"}),
                                     item("impl-bb", {}, {"virtual"}),
                                     item("impl-c", {}, {"virtual"}),
                                     item("libx", {}),
                                     item("other-x", {}, {"libx"})};
    const std::string least = "app: asked\nimpl-a: required by app\nlibx: required by app\n";
    CHECK(reasons(resolve_in_heap("s", heap, {"app"}).value()) == least);
    std::reverse(heap.begin(), heap.end());
    CHECK(reasons(resolve_in_heap("s", heap, {"app"}).value()) == least);
    // Somebody needs another one all the same: then that one does.
    heap.push_back(item("tool", {{"late"}}));
    heap.push_back(item("late", {{"impl-bb"}}));
    CHECK(
        reasons(resolve_in_heap("s", heap, {"app", "tool"}).value()) ==
        "app: asked\nimpl-bb: required by app\nlate: required by tool\nlibx: required by app\ntool: asked\n");
    CHECK(reasons(resolve_in_heap("s", heap, {"app", "impl-c"}).value()) ==
          "app: asked\nimpl-c: asked\nlibx: required by app\n");
    // What a choice brings counts for the next one.
    heap.push_back(item("a", {{"one"}, {"two"}}));
    heap.push_back(item("one-1", {{"two-long"}}, {"one"}));
    heap.push_back(item("one-22", {}, {"one"}));
    heap.push_back(item("two-1", {}, {"two"}));
    heap.push_back(item("two-long", {}, {"two"}));
    CHECK(reasons(resolve_in_heap("s", heap, {"a"}).value()) ==
          "a: asked\none-1: required by a\ntwo-long: required by a\n");
    // Nobody needs another package for what it has itself.
    heap.push_back(item("self", {{"virtual"}}, {"virtual"}));
    CHECK(reasons(resolve_in_heap("s", heap, {"self"}).value()) == "self: asked\n");
  }

  TEST_CASE("expressions of RPM are told, not dropped") {
    const TempDir dir;
    orch::test::RpmText app;
    app.name = "app";
    app.requirements = {"(liba or libb)", "/usr/share/data/x"};
    orch::test::RpmText data;
    data.name = "data";
    const auto one = orch::package::read_heap_package(
        dir.write("a.rpm", orch::test::rpm_bytes(app, {{"./usr/bin/app", 0100755, "x", 1, 3}})));
    const auto two = orch::package::read_heap_package(
        dir.write("d.rpm", orch::test::rpm_bytes(data, {{"./usr/share/data/x", 0100644, "x", 1, 3}})));
    REQUIRE((one && two));
    CHECK(reasons(resolve_in_heap("s", {*one, *two}, {"app"}).value()) ==
          "app: asked\ndata: required by app\nnote: 'app' needs '(liba or libb)', an expression that is not "
          "looked at: name what it means in 'packages'\n");
  }

  TEST_CASE("a package of a folder is brought without reading any") {
    const TempDir dir;
    dir.write("heap/damaged.rpm", "nothing");
    dir.write("heap/a.rpm", "whatever was locked");
    orch::package::Source source;
    source.name = "s";
    source.kind = orch::package::SourceKind::dir;
    source.path = dir / "heap";
    orch::package::Surroundings around;
    around.cache_dir = dir / "cache";
    orch::package::LockedPackage wanted;
    wanted.name = "a";
    wanted.version = "1-1";
    wanted.architecture = "x86_64";
    wanted.path = "a.rpm";
    wanted.size = 19;
    wanted.sha256 = orch::hash::sha256_of("whatever was locked");
    std::filesystem::create_directories(dir / "scratch");
    const auto done = orch::package::collect_archives({wanted}, source, around, dir / "scratch", dir / "out");
    if (!done) FAIL(orch::base::render(done.error()));
    CHECK(std::filesystem::exists(dir / ("out/" + archive_file_name(wanted))));
  }

  TEST_CASE("a folder of .rpm files is a source, and so are its libraries") {
    const TempDir dir;
    orch::test::RpmText app;
    app.name = "app";
    app.requirements = {"libx.so.1()(64bit)", "/usr/bin/sh"};
    orch::test::RpmText library;
    library.name = "Lib_x";
    library.provides = {"libx.so.1()(64bit)"};
    orch::test::RpmText newer = library;
    newer.version = "1.10";
    dir.write("heap/a.rpm", orch::test::rpm_bytes(app, {{"./usr/bin/app", 0100755, "x", 1, 3}}));
    dir.write("heap/l.rpm", orch::test::rpm_bytes(library, {{"./usr/lib64/libx.so.1", 0100644, "x", 1, 3}}));
    dir.write("heap/m.rpm", orch::test::rpm_bytes(newer, {{"./usr/lib64/libx.so.1", 0100644, "y", 1, 3}}));
    dir.write("heap/README", "not a package");
    orch::package::Source source;
    source.name = "s";
    source.kind = orch::package::SourceKind::dir;
    source.path = dir / "heap";
    orch::package::Surroundings around;
    around.cache_dir = dir / "cache";
    const auto opened = orch::package::open_source(source, around);
    REQUIRE(opened.has_value());
    const auto found = (*opened)->resolve({"app"});
    if (!found) FAIL(orch::base::render(found.error()));
    CHECK(reasons(*found) ==
          "Lib_x: required by app\napp: asked\nnote: 'app' needs '/usr/bin/sh', which source 's' has not\n");
    CHECK(found->packages[0].version == "1.10-2.fc42");
    CHECK(found->packages[0].path == "m.rpm");
    const auto providers = (*opened)->providers({"libx.so.1", "libnone.so"}).value();
    CHECK(providers.at("libx.so.1") == std::vector<std::string>{"Lib_x"});
    CHECK(providers.at("libnone.so").empty());
    CHECK((*opened)->exact("Lib_x", "x86_64").value().version == "1.10-2.fc42");
    dir.write("heap/b.deb", "!<arch>\nnothing");
    CHECK((*opened)->refresh().error().what.find("is no sound Debian package") != std::string::npos);
    source.path = dir / "absent";
    CHECK_FALSE((*orch::package::open_source(source, around))->refresh().has_value());
  }

  TEST_CASE("control data, as the needs of packages") {
    const auto controls = orch::package::parse_controls(
        "Package: app\nVersion: 1\nDepends: libx (>= 2),\n liby:any | libz\nPre-Depends: dpkg\nSection: "
        "libs\n\n"
        "Package: libz\nProvides: virtual (= 1)\n\n");
    REQUIRE(controls.size() == 2);
    CHECK(controls[0].depends == std::vector<std::vector<std::string>>{{"dpkg"}, {"libx"}, {"liby", "libz"}});
    CHECK(controls[1].provides == std::vector<std::string>{"virtual"});
    std::vector<std::string> open;
    CHECK(orch::package::dependency_indices(controls, &open)[0] == std::vector<std::size_t>{1});
    CHECK(open == std::vector<std::string>{"app needs 'dpkg'", "app needs 'libx'"});
  }

  TEST_CASE("Debian's order of versions") {
    for (const auto& pair : std::vector<std::pair<const char*, const char*>>{{"1.0-1", "1.0-2"},
                                                                             {"1.9", "1.10"},
                                                                             {"1.0~rc1-1", "1.0-1"},
                                                                             {"1.0", "1.0+b1"},
                                                                             {"9", "1:0"},
                                                                             {"1.0-1", "1.0-1.1"},
                                                                             {"1.0a", "1.0+"}}) {
      CHECK_MESSAGE(compare_deb_versions(pair.first, pair.second) < 0, pair.first, " ", pair.second);
      CHECK_MESSAGE(compare_deb_versions(pair.second, pair.first) > 0, pair.first, " ", pair.second);
    }
    CHECK(compare_deb_versions("1.0-0", "1.0") == 0);
    CHECK(compare_deb_versions("1.01", "1.1") == 0);
  }

  TEST_CASE("libraries are found in Contents, the plain package first") {
    ContentsScan scan({"libz.so.1", "libq.so"});
    scan.line("FILE                    LOCATION");
    scan.line(
        "usr/lib/x86_64-linux-gnu/libz.so.1    oldlibs/az,libs/zlib1g-long,non-free/libs/zlib1g,libs/zlib1h");
    scan.line("usr/lib/x86_64-linux-gnu/private/libq.so   libs/private");
    scan.line("usr/lib/debug/lib/libz.so.1   debug/zlib-dbg");
    scan.line("lib64/libq.so\tlibs/qq");
    const auto found = scan.take();
    CHECK(found.at("libz.so.1") == std::vector<std::string>{"zlib1g", "zlib1h", "zlib1g-long", "az"});
    CHECK(found.at("libq.so") == std::vector<std::string>{"qq"});
  }

  TEST_CASE("an architecture that would lead elsewhere is not taken from apt's output") {
    const std::string sum = " 12 SHA256:" + std::string(64, '0') + "\n";
    const auto one = orch::package::parse_print_uris("'http://h/xx.deb' xx_1_amd64.deb" + sum);
    REQUIRE(one.has_value());
    CHECK(archive_file_name(one->at(0).package) == "xx_1_amd64.deb");
    CHECK_FALSE(orch::package::parse_print_uris("'http://h/xx.deb' xx_1_a%2f..%2fb.deb" + sum).has_value());
    CHECK_FALSE(orch::package::parse_print_uris("'http://h/xx.deb' xx_1_a/../b.deb" + sum).has_value());
  }

  TEST_CASE("policy says which list a version is in") {
    const auto lists = orch::package::parse_policy(
        "jq:\n  Installed: (none)\n  Candidate: 1.6-2\n  Version table:\n     1.6-2 500\n        500 "
        "http://h/debian "
        "bookworm/main amd64 Packages\n        500 http://h/other x/main amd64 Packages\n     1.5 500\n      "
        "  500 "
        "file:/r ./ Packages\n");
    CHECK(lists.at({"jq", "1.6-2"}) == "http://h/debian bookworm/main amd64 Packages");
    CHECK(lists.at({"jq", "1.5"}) == "file:/r ./ Packages");
    CHECK(lists.size() == 2);
  }
}
