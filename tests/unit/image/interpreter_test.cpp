// What is wrong with an interpreter, as FEX looks for it.
#include "image/interpreter.hpp"

#include "image/memory_tree.hpp"
#include "support/elf_writer.hpp"

#include <doctest/doctest.h>

#include <string>

TEST_CASE("an interpreter is found as FEX's loader looks for it, or it is said why not") {
  orch::test::MemoryTree tree;
  const auto elf = [](std::uint16_t machine) {
    orch::test::ElfSpec spec;
    spec.machine = machine;
    return orch::test::ElfWriter(spec).bytes();
  };
  const auto lib = tree.directory(tree.root(), "lib");
  tree.file(lib, "ld.so", elf(62));
  tree.file(lib, "ld-arm.so", elf(183));
  tree.file(lib, "text", "#!/bin/sh");
  tree.link(lib, "to-root", "/lib/ld.so");  // the last component is looked up in the root again
  tree.link(lib, "again", "again");
  tree.link(tree.root(), "relative", "lib");
  tree.link(tree.root(), "absolute", "/lib");
  const auto defect = [&](const char* interpreter, std::uint16_t machine = 62) {
    const auto told = orch::image::interpreter_defect(tree, interpreter, machine);
    REQUIRE(told);
    return *told;
  };
  CHECK(defect("/lib/ld.so").empty());
  CHECK(defect("/relative/ld.so").empty());
  CHECK(defect("/lib/to-root").empty());
  CHECK(defect("/lib/ld-arm.so", 183).empty());
  CHECK(defect("/absolute/ld.so") == "which leads out of the stack, to '/lib/ld.so' of the host");
  CHECK(defect("/lib/ld-arm.so") == "which is for aarch64, expected x86_64");
  CHECK(defect("/lib/text") == "which is no ELF file");
  CHECK(defect("/lib") == "which is a directory");
  CHECK(defect("/lib/none") == "which is not in the stack");
  CHECK(defect("/lib/again") == "which is a loop of links");
  CHECK(defect("lib/ld.so") == "which is no absolute path");
}
