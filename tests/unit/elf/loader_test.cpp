// The resolver's rules, one by one, on files made by hand. Whether glibc has the same rules is what
// tests/integration/test_loader.py shows.
#include "elf/loader.hpp"

#include "elf/ld_cache.hpp"
#include "unit/elf/root_tree.hpp"

#include <doctest/doctest.h>

using namespace orch;
using Names = std::vector<std::string>;

namespace {

constexpr const char* k_ld = "/lib64/ld-linux-x86-64.so.2";

// A root in Debian's layout with a loader and a libc.
struct Root : test::RootTree {
  explicit Root(
      const std::string& loader_data = std::string("/lib/x86_64-linux-gnu/\0/usr/lib/x86_64-linux-gnu/"
                                                   "\0/lib/\0/usr/lib/",
                                                   65)) {
    test::ElfSpec loader;
    loader.soname = "ld-linux-x86-64.so.2";
    loader.definitions = {"GLIBC_2.3"};
    loader.data = loader_data;
    elf(k_ld, loader);
    library("/lib/x86_64-linux-gnu/libc.so.6",
            {.needed = {"ld-linux-x86-64.so.2"}, .definitions = {"GLIBC_2.2.5", "GLIBC_2.34"}});
  }
  void library(const std::string& path, test::ElfSpec spec = {}) {
    if (spec.soname.empty()) spec.soname = path.substr(path.rfind('/') + 1);
    elf(path, spec);
  }
  void program(const std::string& path, test::ElfSpec spec) {
    if (spec.interpreter.empty()) spec.interpreter = k_ld;
    elf(path, spec);
  }
};

elf::Linkage link(const Root& root, const std::string& program,
                  const elf::LoaderEnvironment& environment = {}, elf::LoaderOptions options = {}) {
  // What the linkage refers to lives on.
  static std::vector<std::unique_ptr<elf::TreeFacts>> kept_facts;
  static std::vector<std::unique_ptr<elf::Loader>> kept_loaders;
  elf::TreeFacts& facts = *kept_facts.emplace_back(std::make_unique<elf::TreeFacts>(root.tree()));
  elf::Loader& loader =
      *kept_loaders.emplace_back(std::make_unique<elf::Loader>(root.tree(), facts, std::move(options)));
  auto linkage = loader.link(program, environment);
  REQUIRE(linkage);
  return *std::move(linkage);
}

// "VIA PATH" of each object but the program.
Names found(const elf::Linkage& linkage) {
  Names out;
  for (std::size_t i = 1; i < linkage.objects.size(); ++i) {
    const elf::LinkedObject& object = linkage.objects[i];
    out.push_back(std::string(to_string(object.via)) + " " +
                  std::string(object.missing() ? object.name : object.path));
  }
  return out;
}

// "KIND OBJECT < NEEDED_BY: DETAIL" of each problem.
Names problems(const elf::Linkage& linkage) {
  Names out;
  for (const elf::Problem& one : linkage.problems)
    out.push_back(std::string(to_string(one.kind)) + " " + one.object + " < " + one.needed_by + ": " +
                  one.detail);
  return out;
}

}  // namespace

TEST_CASE("objects are loaded breadth first, each once, and know who asked") {
  Root root;
  root.program("/usr/bin/app", {.needed = {"liba.so.1", "libb.so.1", "libc.so.6"}});
  root.library("/usr/lib/liba.so.1", {.needed = {"libd.so.1", "libb.so.1"}});
  root.library("/lib/libb.so.1", {.needed = {"libc.so.6"}});
  root.library("/usr/lib/x86_64-linux-gnu/libd.so.1");
  const elf::Linkage linkage = link(root, "/usr/bin/app");
  CHECK(found(linkage) == Names{"default /usr/lib/liba.so.1", "default /lib/libb.so.1",
                                "default /lib/x86_64-linux-gnu/libc.so.6",
                                "default /usr/lib/x86_64-linux-gnu/libd.so.1",
                                "interpreter /lib64/ld-linux-x86-64.so.2"});
  CHECK(linkage.problems.empty());
  CHECK(linkage.starts());
  CHECK(linkage.interpreter == k_ld);
  CHECK(linkage.needed_by(2) == std::vector<std::size_t>{0, 1});
  CHECK(linkage.needs_of(linkage.objects[1])[0].object == 4);
  CHECK(linkage.needed_by(5) == std::vector<std::size_t>{3});
}

TEST_CASE("order of the searches: rpath, LD_LIBRARY_PATH, runpath, cache, default directories") {
  const auto with = [](std::size_t kept, bool runpath) {
    Root root;
    const Names places{"/rp", "/env", "/cached", "/lib"};
    for (std::size_t i = kept; i < places.size(); ++i) root.library(places[i] + "/libx.so.1");
    elf::LdCacheEntry entry;
    entry.name = "libx.so.1";
    entry.path = "/cached/libx.so.1";
    root.file("/etc/ld.so.cache", elf::write_ld_cache(std::vector<elf::LdCacheEntry>{entry}, "test"));
    test::ElfSpec app{.needed = {"libx.so.1"}};
    (runpath ? app.runpath : app.rpath) = "/rp";
    root.program("/app", app);
    return found(link(root, "/app", {.library_path = "/env"})).at(0);
  };
  CHECK(with(0, false) == "rpath /rp/libx.so.1");
  CHECK(with(1, false) == "LD_LIBRARY_PATH /env/libx.so.1");
  CHECK(with(2, false) == "cache /cached/libx.so.1");
  CHECK(with(3, false) == "default /lib/libx.so.1");
  CHECK(with(0, true) == "LD_LIBRARY_PATH /env/libx.so.1");
}

TEST_CASE("runpath is for the object alone, rpath for what it loads too") {
  for (const bool runpath : {false, true}) {
    Root root;
    test::ElfSpec app{.needed = {"liba.so.1"}};
    (runpath ? app.runpath : app.rpath) = "/opt/lib";
    root.program("/app", app);
    root.library("/opt/lib/liba.so.1", {.needed = {"libb.so.1"}});
    root.library("/opt/lib/libb.so.1");
    const elf::Linkage linkage = link(root, "/app");
    CHECK(linkage.objects[2].missing() == runpath);
    CHECK(linkage.starts() != runpath);
  }
  // An object with a runpath does not look at the rpath of others; what has none does, but passes over it.
  Root root;
  root.program("/app", {.needed = {"liba.so.1"}, .rpath = "/opt/lib"});
  root.library("/opt/lib/liba.so.1", {.needed = {"libb.so.1"}, .runpath = "/nowhere"});
  root.library("/opt/lib/libb.so.1");
  CHECK(link(root, "/app").objects[2].missing());
  // Both in one object: DT_RPATH is ignored.
  Root both;
  both.program("/app", {.needed = {"liba.so.1"}, .rpath = "/rp", .runpath = "/run"});
  both.library("/rp/liba.so.1");
  both.library("/lib/liba.so.1");
  CHECK(found(link(both, "/app")) == Names{"default /lib/liba.so.1"});
}

TEST_CASE("$ORIGIN is the real folder of the program, and the folder by which a library was found") {
  Root root;
  root.program("/opt/app/bin/app", {.needed = {"liba.so.1"}, .runpath = "$ORIGIN/../lib"});
  root.link("/usr/bin/app", "/opt/app/bin/app");
  root.link("/opt/app/lib/liba.so.1", "/srv/liba.so.1");
  root.library("/srv/liba.so.1", {.needed = {"libb.so.1"}, .runpath = "${ORIGIN}/sub"});
  root.library("/opt/app/lib/sub/libb.so.1");
  const elf::Linkage linkage = link(root, "/usr/bin/app");
  CHECK(found(linkage) ==
        Names{"runpath /opt/app/bin/../lib/liba.so.1", "runpath /opt/app/bin/../lib/sub/libb.so.1"});
  CHECK(linkage.objects[1].real_path == "/srv/liba.so.1");
}

TEST_CASE("$LIB, $PLATFORM and other dollars") {
  Root root;
  root.program("/app", {.needed = {"liba.so.1", "libb.so.1", "libc.so.1", "/x/$LIB/libd.so.1"},
                        .runpath = "/x/$LIB:/x/${PLATFORM}:/x/$ORIGINAL/${LIB"});
  root.library("/x/lib/x86_64-linux-gnu/liba.so.1");
  root.library("/x/lib/x86_64-linux-gnu/libd.so.1");
  root.library("/x/x86_64/libb.so.1");
  root.library("/x/$ORIGINAL/${LIB/libc.so.1");
  CHECK(found(link(root, "/app")) ==
        Names{"runpath /x/lib/x86_64-linux-gnu/liba.so.1", "runpath /x/x86_64/libb.so.1",
              "runpath /x/$ORIGINAL/${LIB/libc.so.1", "path /x/lib/x86_64-linux-gnu/libd.so.1"});
}

TEST_CASE("empty and relative elements stand for the working directory") {
  Root root;
  root.program("/app", {.needed = {"liba.so.1", "libb.so.1"}});
  root.library("/here/liba.so.1");
  root.library("/here/sub/libb.so.1");
  const elf::Linkage linkage =
      link(root, "/app", {.library_path = "/none:;sub//"}, {.working_directory = "/here"});
  CHECK(found(linkage) == Names{"LD_LIBRARY_PATH liba.so.1", "LD_LIBRARY_PATH sub/libb.so.1"});
  CHECK(linkage.objects[1].real_path == "/here/liba.so.1");
}

TEST_CASE("glibc-hwcaps folders up to the processor's level, in every directory") {
  const auto at = [](unsigned level) {
    Root root;
    root.program("/app", {.needed = {"liba.so.1"}});
    root.library("/usr/lib/liba.so.1");
    for (const char* name : {"2", "3", "4"})
      root.library("/usr/lib/glibc-hwcaps/x86-64-v" + std::string(name) + "/liba.so.1");
    return found(link(root, "/app", {}, {.isa_level = level})).at(0);
  };
  CHECK(at(1) == "default /usr/lib/liba.so.1");
  CHECK(at(2) == "default /usr/lib/glibc-hwcaps/x86-64-v2/liba.so.1");
  CHECK(at(3) == "default /usr/lib/glibc-hwcaps/x86-64-v3/liba.so.1");
  CHECK(at(4) == "default /usr/lib/glibc-hwcaps/x86-64-v4/liba.so.1");
}

TEST_CASE("DF_1_NODEFLIB keeps away from default directories, in the cache too") {
  Root root;
  root.program("/app", {.needed = {"liba.so.1", "libb.so.1"}, .flags_1 = elf::k_flag1_nodeflib});
  root.library("/lib/sub/liba.so.1");
  root.library("/opt/libb.so.1");
  std::vector<elf::LdCacheEntry> entries(2);
  entries[0].name = "liba.so.1";
  entries[0].path = "/lib/sub/liba.so.1";
  entries[1].name = "libb.so.1";
  entries[1].path = "/opt/libb.so.1";
  root.file("/etc/ld.so.cache", elf::write_ld_cache(entries, "test"));
  CHECK(found(link(root, "/app")) == Names{"missing liba.so.1", "cache /opt/libb.so.1"});
}

TEST_CASE("Fedora's directories follow from its loader") {
  Root root(std::string("/lib64/\0/usr/lib64/", 19));
  root.program("/app", {.needed = {"liba.so.1", "libb.so.1"}});
  root.library("/usr/lib64/liba.so.1");
  root.library("/usr/lib/libb.so.1");
  CHECK(found(link(root, "/app")) == Names{"default /usr/lib64/liba.so.1", "missing libb.so.1"});
}

TEST_CASE("a name, a soname or a file that is loaded already is not loaded again") {
  Root root;
  root.program("/app", {.needed = {"libone.so", "libtwo.so.2", "libthree.so"}, .runpath = "/x"});
  root.elf("/x/libone.so", {.soname = "libtwo.so.2"});
  root.link("/x/libthree.so", "libone.so");
  root.library("/x/libtwo.so.2");
  const elf::Linkage linkage = link(root, "/app");
  CHECK(found(linkage) == Names{"runpath /x/libone.so"});
  CHECK(linkage.needs_of(linkage.objects[0])[1].object == 1);
  CHECK(linkage.needs_of(linkage.objects[0])[2].object == 1);
}

TEST_CASE("preloaded objects come first; one that is missing does not stop the program") {
  Root root;
  root.program("/app", {.needed = {"liba.so.1"}});
  root.library("/lib/liba.so.1");
  root.library("/opt/libp.so");
  root.file("/etc/ld.so.preload", "# none\n/opt/none.so\n");
  const elf::Linkage linkage = link(root, "/app", {.preload = "/opt/libp.so libq.so"});
  CHECK(found(linkage) == Names{"path /opt/libp.so", "default /lib/liba.so.1"});
  CHECK(linkage.objects[1].preloaded);
  CHECK(linkage.problems.size() == 2);
  CHECK(linkage.starts());
}

TEST_CASE("files of other machines are passed over, and named") {
  Root root;
  root.program("/app", {.needed = {"liba.so.1", "libb.so.1"}, .runpath = "/x"});
  root.elf("/x/liba.so.1", {.machine = 183});
  root.library("/lib/liba.so.1");
  std::string bytes = test::make_elf({.machine = 3});
  bytes[4] = 1;
  root.file("/x/libb.so.1", bytes);
  const elf::Linkage linkage = link(root, "/app");
  CHECK(found(linkage) == Names{"default /lib/liba.so.1", "missing libb.so.1"});
  REQUIRE(linkage.objects[1].skipped.size() == 1);
  CHECK(linkage.objects[1].skipped[0] == elf::Skipped{"/x/liba.so.1", "is for aarch64"});
  CHECK(problems(linkage) == Names{"missing library libb.so.1 < /app: wrong ELF class: ELFCLASS32"});
}

TEST_CASE("what is no library ends the search") {
  Root root;
  root.program(
      "/app", {.needed = {"liba.so.1", "libb.so.1", "libc.so.1", "libd.so.1", "libe.so.1"}, .runpath = "/x"});
  root.file("/x/liba.so.1", std::string(100, 'x'));
  root.file("/x/libb.so.1", "");
  root.elf("/x/libc.so.1", {.type = 2});
  root.elf("/x/libd.so.1", {.flags_1 = elf::k_flag1_pie});
  root.directory("/x/libe.so.1");
  for (const char* name : {"a", "b", "c", "d", "e"}) root.library("/lib/lib" + std::string(name) + ".so.1");
  CHECK(problems(link(root, "/app")) ==
        Names{"bad library /x/liba.so.1 < /app: invalid ELF header",
              "bad library /x/libb.so.1 < /app: file too short",
              "bad library /x/libc.so.1 < /app: cannot dynamically load executable",
              "bad library /x/libd.so.1 < /app: cannot dynamically load position-independent executable",
              "bad library /x/libe.so.1 < /app: is a directory (cannot read file data: Error 21)"});
}

TEST_CASE("versions that the provider lacks, unless weak") {
  Root root;
  root.program("/app", {.needed = {"libc.so.6", "libold.so.1"},
                        .versions = {{"libc.so.6", {{"GLIBC_2.34"}, {"GLIBC_2.38"}, {"GLIBC_2.39", true}}},
                                     {"libold.so.1", {{"OLD_1"}, {"OLD_2"}}},
                                     {"ld-linux-x86-64.so.2", {{"GLIBC_2.3"}}},
                                     {"libgone.so.1", {{"GONE_1"}}}}});
  root.library("/lib/libold.so.1");
  const elf::Linkage linkage = link(root, "/app");
  CHECK(problems(linkage) ==
        Names{"missing version /lib/x86_64-linux-gnu/libc.so.6 < /app: version `GLIBC_2.38' not found "
              "(required by /app)",
              "no version table /lib/libold.so.1 < /app: no version information available (required by /app)",
              "missing version libgone.so.1 < /app: no loaded object has the name that the version table "
              "gives (Assertion `needed != NULL')"});
  CHECK(linkage.problems[0].version == "GLIBC_2.38");
}

TEST_CASE("notes that demand more of the processor") {
  Root root;
  root.program("/app", {.needed = {"liba.so.1"}});
  root.library("/lib/liba.so.1", {.isa_needed = 8});
  CHECK(problems(link(root, "/app")) ==
        Names{"isa level /lib/liba.so.1 < /app: CPU ISA level is lower than required (x86-64-v4; "
              "x86-64-v3 is on offer)"});
  CHECK(link(root, "/app", {}, {.isa_level = 4}).starts());
}

TEST_CASE("interpreters that are missing, of another machine, or need one themselves") {
  Root root;
  root.program("/a", {.interpreter = "/lib/none.so", .needed = {"libc.so.6"}});
  root.elf("/lib/arm.so", {.machine = 183});
  root.program("/b", {.interpreter = "/lib/arm.so"});
  root.program("/lib/twice.so", {});
  root.program("/c", {.interpreter = "/lib/twice.so"});
  root.file("/lib/text.so", "text");
  root.program("/d", {.interpreter = "/lib/text.so"});
  const elf::Linkage missing = link(root, "/a");
  CHECK(problems(missing) == Names{"missing interpreter /lib/none.so < /a: No such file or directory",
                                   "missing library ld-linux-x86-64.so.2 < /lib/x86_64-linux-gnu/libc.so.6: "
                                   "cannot open shared object file: No such file or directory"});
  CHECK(problems(link(root, "/b")) ==
        Names{"wrong interpreter /lib/arm.so < /b: is for aarch64, expected x86_64"});
  CHECK(link(root, "/c").problems[0].kind == elf::ProblemKind::wrong_interpreter);
  CHECK(problems(link(root, "/d")) == Names{"wrong interpreter /lib/text.so < /d: is no ELF file"});
}

TEST_CASE("a loader behind a link that leads nowhere is missing") {
  Root root;
  root.program("/app", {.interpreter = "/lib32/ld-linux-x86-64.so.2"});
  root.link("/lib32", "usr/lib32");
  CHECK(link(root, "/app").problems[0].kind == elf::ProblemKind::missing_interpreter);
}

TEST_CASE("programs that are none, static ones, and libraries as programs") {
  Root root;
  root.file("/script", "#!/bin/sh\n");
  root.elf("/arm", {.machine = 183});
  root.elf("/static", {.type = 2, .dynamic = false});
  root.library("/lib/liba.so.1", {.needed = {"libc.so.6"}});
  CHECK(problems(link(root, "/none")) == Names{"missing program /none < : No such file or directory"});
  CHECK(link(root, "/script").problems[0].kind == elf::ProblemKind::wrong_program);
  CHECK(problems(link(root, "/arm")) == Names{"wrong program /arm < : is for aarch64"});
  CHECK(link(root, "/static").is_static);
  CHECK(link(root, "/static").starts());
  CHECK(found(link(root, "/lib/liba.so.1")) ==
        Names{"default /lib/x86_64-linux-gnu/libc.so.6", "interpreter /lib64/ld-linux-x86-64.so.2"});
}

TEST_CASE("a cache that cannot be read is passed over") {
  Root root;
  root.program("/app", {.needed = {"libc.so.6"}});
  root.file("/etc/ld.so.cache", "not a cache");
  const elf::Linkage linkage = link(root, "/app");
  CHECK(linkage.starts());
  CHECK(linkage.problems.at(0).kind == elf::ProblemKind::bad_cache);
}
