#include "elf/link_programs.hpp"

#include "unit/elf/root_tree.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <mutex>

using namespace orch;

namespace {

constexpr const char* k_ld = "/lib64/ld-linux-x86-64.so.2";

// A loader, 40 libraries of which each needs the next two, and 300 programs that need one or lack one.
std::shared_ptr<const elf::Index> sample() {
  test::RootTree root;
  test::ElfSpec loader;
  loader.soname = "ld-linux-x86-64.so.2";
  loader.data = std::string("/lib64/\0/usr/lib64/", 19);
  root.elf(k_ld, loader);
  const auto library = [](int number) { return "lib" + std::to_string(number) + ".so.1"; };
  for (int i = 0; i < 40; ++i) {
    test::ElfSpec spec;
    spec.soname = library(i);
    spec.definitions = {"V_1"};
    for (int next = i + 1; next < std::min(i + 3, 40); ++next) {
      spec.needed.push_back(library(next));
      spec.versions.push_back({library(next), {{next % 7 == 0 ? "V_2" : "V_1"}}});
    }
    root.elf("/usr/lib64/" + library(i), spec);
  }
  for (int i = 0; i < 300; ++i) {
    test::ElfSpec spec;
    spec.interpreter = k_ld;
    spec.needed = {library(i % 41)};
    root.elf("/usr/bin/p" + std::to_string(i), spec);
  }
  return *elf::Index::make(root.tree());
}

std::vector<std::string> programs() {
  std::vector<std::string> out;
  for (int i = 0; i < 300; ++i) out.push_back("/usr/bin/p" + std::to_string(i));
  return out;
}

// Everything that is told of each program, as a text.
std::vector<std::string> linked(const elf::StackFiles& files, unsigned threads) {
  elf::ProgramLinker linker(files, {}, threads);
  std::vector<std::string> out(programs().size());
  std::mutex mutex;
  std::size_t visits = 0;
  const auto done = linker.link(programs(), {}, [&](std::size_t at, elf::Linkage& linkage) {
    std::string text = linkage.program + "\n";
    for (const elf::LinkedObject& object : linkage.objects) {
      text += std::string(object.name) + " " + std::string(object.real_path) + " <";
      for (const elf::LinkedNeed& need : linkage.needs_of(object))
        text += " " + std::string(linkage.name_of(need)) + "=" + std::to_string(need.object);
      text += "\n";
    }
    for (const elf::Problem& problem : linkage.problems)
      text += problem.object + ": " + problem.detail + "\n";
    const std::lock_guard lock(mutex);
    ++visits;
    CHECK(out[at].empty());
    out[at] = std::move(text);
  });
  CHECK(done);
  CHECK(visits == out.size());
  return out;
}

}  // namespace

TEST_CASE("several threads link as one does") {
  const auto files = elf::StackFiles::make({{"base", sample()}}, elf::Index::empty(), "/AppDir");
  REQUIRE(files);
  const std::vector<std::string> alone = linked(**files, 1);
  CHECK(alone[40].find("lib40.so.1: cannot open shared object file") != std::string::npos);
  CHECK(alone[5].find("version `V_2' not found") != std::string::npos);
  CHECK(linked(**files, 4) == alone);
  CHECK(linked(**files, 64) == alone);
}

TEST_CASE("a program that is not there is told, and no program is no error") {
  const auto files = elf::StackFiles::make({{"base", sample()}}, elf::Index::empty(), "/AppDir");
  elf::ProgramLinker linker(**files, {}, 3);
  std::size_t missing = 0;
  CHECK(linker.link({"/nowhere"}, {}, [&](std::size_t, elf::Linkage& linkage) {
    missing = linkage.problems.size();
    CHECK(linkage.problems.at(0).kind == elf::ProblemKind::missing_program);
  }));
  CHECK(missing == 1);
  CHECK(linker.link({}, {}, [](std::size_t, elf::Linkage&) { FAIL("visited"); }));
}
