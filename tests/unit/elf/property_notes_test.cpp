#include "elf/property_notes.hpp"

#include "elf/facts.hpp"
#include "support/elf_writer.hpp"

#include <doctest/doctest.h>

using orch::elf::Patch;

namespace {

std::vector<Patch> patches_of(const std::string& bytes) {
  const auto patches = orch::elf::hide_property_notes(orch::image::MemoryAccess(bytes));
  REQUIRE(patches.has_value());
  return *patches;
}

orch::elf::Facts facts_of(const std::string& bytes) {
  const auto facts = orch::elf::read_facts(orch::image::MemoryAccess(bytes));
  REQUIRE(facts.has_value());
  REQUIRE(facts->has_value());
  return **facts;
}

std::string patched(std::string bytes) {
  for (const Patch& patch : patches_of(bytes)) {
    REQUIRE(patch.offset + patch.bytes.size() <= bytes.size());
    bytes.replace(static_cast<std::size_t>(patch.offset), patch.bytes.size(), patch.bytes);
  }
  return bytes;
}

}  // namespace

TEST_SUITE("elf/property_notes") {
  TEST_CASE("a property note disappears, and nothing moves") {
    orch::test::ElfSpec spec;
    spec.isa_needed = 4;
    spec.features = 3;
    spec.soname = "libx.so.1";
    spec.build_id = "\x01\x02\x03\x04";
    const std::string bytes = orch::test::ElfWriter(spec).bytes() + "appended data";
    REQUIRE(facts_of(bytes).isa_needed == 3);
    REQUIRE(facts_of(bytes).ibt);
    const std::vector<Patch> patches = patches_of(bytes);
    REQUIRE(patches.size() == 2);
    CHECK(patches[0].what == "program header");
    CHECK(patches[1].what == "note");
    const std::string after = patched(bytes);
    CHECK(after.size() == bytes.size());
    CHECK(after.ends_with("appended data"));
    CHECK(facts_of(after).isa_needed == 0);
    CHECK_FALSE(facts_of(after).ibt);
    CHECK(facts_of(after).soname == "libx.so.1");
    CHECK(facts_of(after).build_id == "01020304");
    CHECK(patches_of(after).empty());
  }

  TEST_CASE("files without one are left alone") {
    CHECK(patches_of(orch::test::ElfWriter({}).bytes()).empty());
    CHECK(patches_of("#!/bin/sh\n").empty());
    CHECK(patches_of("").empty());
    CHECK(patches_of("\x7f"
                     "ELF")
              .empty());
  }

  TEST_CASE("tables that lead out of the file give no patch outside of it") {
    orch::test::ElfSpec spec;
    spec.isa_needed = 4;
    const std::string bytes = orch::test::ElfWriter(spec).bytes();
    for (std::size_t at = 0; at < 64 + 56 * 5; ++at)
      for (const char value : {'\x00', '\x7f', '\xff'}) {
        std::string damaged = bytes;
        damaged[at] = value;
        for (const Patch& patch : patches_of(damaged))
          CHECK(patch.offset + patch.bytes.size() <= damaged.size());
      }
  }
}
