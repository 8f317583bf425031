// ELF facts: of this very program, and of bytes that are no proper ELF file.
#include "elf/facts.hpp"

#include "elf/inspection.hpp"
#include "image/directory_tree.hpp"
#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

using namespace orch;

namespace {

std::string own_bytes() {
  const auto file = image::FileAccess::open("/proc/self/exe");
  REQUIRE(file);
  return *image::read_exact(**file, 0,
                            static_cast<std::size_t>(std::min<std::uint64_t>((*file)->size(), 1U << 26)));
}

// The same as a library, whether the compiler makes programs that can be loaded anywhere or not.
std::string own_library() {
  std::string bytes = own_bytes();
  bytes[16] = 3;  // e_type = ET_DYN
  return bytes;
}

}  // namespace

TEST_CASE("the facts of a program of this machine") {
  const auto file = image::FileAccess::open("/proc/self/exe");
  const auto facts = elf::read_facts(**file);
  REQUIRE(facts);
  REQUIRE(*facts);
  const elf::Facts& own = **facts;
  CHECK(own.is_64 == (sizeof(void*) == 8));
  CHECK(own.dynamic);
  CHECK(own.interpreter.find("ld-linux") != std::string::npos);
  CHECK(std::find(own.needed.begin(), own.needed.end(), "libc.so.6") != own.needed.end());
  CHECK(elf::compare_versions(own.glibc, "2.14") >= 0);
}

TEST_CASE("versions compare by their numbers") {
  CHECK(elf::compare_versions("2.9", "2.34") < 0);
  CHECK(elf::compare_versions("2.34", "2.34") == 0);
  CHECK(elf::compare_versions("2.34", "2.34.1") < 0);
  CHECK(elf::compare_versions("10", "9.9") > 0);
}

TEST_CASE("cut and damaged ELF files give fewer facts, never a crash") {
  const std::string good = own_bytes().substr(0, 1U << 16);
  std::mt19937 noise(1);
  for (std::size_t size = 0; size < 2000; size += 7)
    CHECK(elf::read_facts(image::MemoryAccess(good.substr(0, size))));
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = good;
    for (int i = 0; i < 4; ++i) bytes[noise() % 1024] = static_cast<char>(noise());
    for (int i = 0; i < 4; ++i) bytes[noise() % bytes.size()] = static_cast<char>(noise());
    const image::MemoryAccess data(bytes);
    CHECK(elf::read_facts(data));
    CHECK(elf::read_section_text(data, ".comment", 100));
    CHECK(image::identify(data));
  }
}

TEST_CASE("a section is found by its name") {
  const auto file = image::FileAccess::open("/proc/self/exe");
  const auto text = elf::read_section_text(**file, ".interp", 4096);
  REQUIRE(text);
  REQUIRE(*text);
  CHECK((*text)->front() == '/');
  CHECK_FALSE(*elf::read_section_text(**file, ".no-such-section", 10));
}

TEST_CASE("a desktop entry is read from its own group, first key first") {
  const elf::DesktopEntry entry = elf::parse_desktop_entry(
      "\xEF\xBB\xBF# comment\r\n[Desktop Entry]\r\nName = One\r\nName=Two\r\nName[de]=Eins\nExec=app %F\n"
      "[Desktop Action x]\nExec=other\nIcon=no\n");
  CHECK(entry.name == "One");
  CHECK(entry.exec == "app %F");
  CHECK(entry.icon.empty());
}

TEST_CASE("inside a directory, libraries are matched with who needs them") {
  const test::TempDir dir;
  dir.write("usr/lib/libself.so.1", own_library());
  elf::Inspection inspection;
  const auto tree = image::DirectoryTree::open(dir.path());
  REQUIRE(tree);
  REQUIRE(elf::inspect_inside(**tree, inspection));
  CHECK(inspection.bundled == std::vector<std::string>{"libself.so.1"});
  CHECK(std::find(inspection.needed.begin(), inspection.needed.end(), "libc.so.6") !=
        inspection.needed.end());
  dir.write("usr/lib/libc.so.6", own_library());
  elf::Inspection again;
  const auto second = image::DirectoryTree::open(dir.path());
  REQUIRE(elf::inspect_inside(**second, again));
  CHECK(std::find(again.needed.begin(), again.needed.end(), "libc.so.6") == again.needed.end());
  CHECK(again.entry->kind == image::EntryKind::missing);
  CHECK_FALSE(again.notes.empty());
}
