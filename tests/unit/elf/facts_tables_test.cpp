// ELF facts out of files made by hand: every table, the loader's complaints about headers, and their stored
// form.
#include "elf/facts_source.hpp"
#include "elf/loader_layout.hpp"
#include "support/elf_writer.hpp"
#include "support/one_in.hpp"
#include "unit/elf/root_tree.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace orch;
using Names = std::vector<std::string>;

namespace {

elf::Facts facts_of(const std::string& bytes) {
  const auto facts = elf::read_facts(image::MemoryAccess(bytes));
  REQUIRE(facts);
  REQUIRE(*facts);
  return **facts;
}

test::ElfSpec rich() {
  test::ElfSpec spec;
  spec.interpreter = "/lib64/ld-linux-x86-64.so.2";
  spec.soname = "libself.so.1";
  spec.needed = {"libb.so.2", "liba.so.1"};
  spec.runpath = "$ORIGIN/../lib::/opt";
  spec.flags = elf::k_flag_origin;
  spec.flags_1 = elf::k_flag1_nodeflib | elf::k_flag1_pie;
  spec.versions = {{"libb.so.2", {{"B_1"}, {"B_2", true}}}, {"libc.so.6", {{"GLIBC_2.9"}, {"GLIBC_2.34"}}}};
  spec.definitions = {"SELF_1", "SELF_2"};
  spec.isa_needed = 3;
  spec.features = 3;
  spec.build_id = "\x01\xab";
  return spec;
}

class CountingAccess final : public image::RandomAccess {
 public:
  explicit CountingAccess(std::string bytes) : data_(std::move(bytes)) {}
  std::uint64_t size() const override { return data_.size(); }
  base::Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) const override {
    ++reads;
    return data_.read_at(offset, out);
  }
  mutable int reads = 0;

 private:
  image::MemoryAccess data_;
};

}  // namespace

TEST_CASE("every table of a file is read") {
  const elf::Facts facts = facts_of(test::make_elf(rich()));
  CHECK(facts.interpreter == "/lib64/ld-linux-x86-64.so.2");
  CHECK(facts.soname == "libself.so.1");
  CHECK(facts.needed == Names{"libb.so.2", "liba.so.1"});
  CHECK(facts.has_runpath);
  CHECK(facts.runpath == Names{"$ORIGIN/../lib", "", "/opt"});
  CHECK(facts.rpath.empty());
  CHECK(facts.flags == elf::k_flag_origin);
  CHECK(facts.flags_1 == (elf::k_flag1_nodeflib | elf::k_flag1_pie));
  CHECK(facts.versions == std::vector<elf::VersionNeed>{{"libb.so.2", "B_1", false},
                                                        {"libb.so.2", "B_2", true},
                                                        {"libc.so.6", "GLIBC_2.9", false},
                                                        {"libc.so.6", "GLIBC_2.34", false}});
  CHECK(facts.versioned);
  CHECK(facts.definitions == Names{"SELF_1", "SELF_2"});
  CHECK(facts.glibc == "2.34");
  CHECK(facts.isa_needed == 2);
  CHECK(facts.ibt);
  CHECK(facts.shstk);
  CHECK(facts.build_id == "01ab");
  CHECK(facts.defect.empty());
  test::ElfSpec stack;
  stack.executable_stack = true;
  CHECK(facts_of(test::make_elf(stack)).executable_stack);
  CHECK_FALSE(facts_of(test::make_elf(test::ElfSpec())).executable_stack);
}

TEST_CASE("tables that lie together take few reads") {
  const CountingAccess file(test::make_elf(rich()));
  REQUIRE(elf::read_facts(file));
  CHECK(file.reads == 1);
}

TEST_CASE("what the loader says of a header that it refuses") {
  const std::string good = test::make_elf(test::ElfSpec());
  const auto with = [&](std::size_t at, char byte) {
    std::string bytes = good;
    bytes[at] = byte;
    return facts_of(bytes).defect;
  };
  CHECK(with(5, 2) == "ELF file data encoding not little-endian");
  CHECK(with(6, 0) == "ELF file version ident does not match current one");
  CHECK(with(7, 9) == "ELF file OS ABI invalid");
  CHECK(with(7, 3).empty());
  CHECK(with(8, 1) == "ELF file ABI version invalid");
  CHECK(with(10, 2) == "nonzero padding in e_ident");
  CHECK(with(20, 2) == "ELF file version does not match current one");
  CHECK(with(16, 1) == "only ET_DYN and ET_EXEC can be loaded");
  CHECK(with(18, static_cast<char>(183)).empty());
  CHECK(with(64, 4) == "object file has no loadable segments");
  test::ElfSpec bare;
  bare.dynamic = false;
  CHECK(facts_of(test::make_elf(bare)).defect == "object file has no dynamic section");
}

TEST_CASE("strings that look like sonames are hints") {
  test::ElfSpec spec;
  spec.soname = "libself.so";
  spec.needed = {"libneeded.so.1"};
  using namespace std::string_literals;
  spec.data =
      "libfoo.so.1\0libself.so\0libneeded.so.1\0xlibno.so\0lib.so\0libno.so.x\0libz.so\0libno.so.1.\0"
      "/usr/lib/libpath.so.1\0lib b.so\0liba-2.0.so.1.2"s;
  const std::string bytes = test::make_elf(spec);
  const auto hints = elf::read_dlopen_hints(image::MemoryAccess(bytes), facts_of(bytes));
  REQUIRE(hints);
  CHECK(*hints == Names{"liba-2.0.so.1.2", "libfoo.so.1", "libz.so"});
  // A name that two reads share.
  spec.data = std::string((1U << 20) - 1200, 'x') + '\0';
  while (spec.data.size() < (1U << 20) + 2000) spec.data += "libacross.so.7" + std::string(1, '\0');
  const std::string long_bytes = test::make_elf(spec);
  CHECK(*elf::read_dlopen_hints(image::MemoryAccess(long_bytes), facts_of(long_bytes)) ==
        Names{"libacross.so.7"});
}

TEST_CASE("the loader's directories stand in its data") {
  using namespace std::string_literals;
  const auto layout = [](const std::string& data) {
    test::ElfSpec spec;
    spec.data = data;
    const auto read = elf::read_loader_layout(image::MemoryAccess(test::make_elf(spec)));
    REQUIRE(read);
    return *read;
  };
  CHECK(layout("/etc/\0x\0/lib64/\0/usr/lib64/\0y"s) == elf::fedora_layout());
  const std::string debian = "/lib/x86_64-linux-gnu/\0/usr/lib/x86_64-linux-gnu/\0/lib/\0/usr/lib/"s;
  CHECK(layout(debian) == elf::debian_layout());
  CHECK(layout(debian + "\0z\0tls"s)->legacy_hwcap);
  CHECK(layout("/nix/store/abc-glibc/lib/"s)->lib == "lib");
  CHECK_FALSE(layout("/etc/\0/var/run/"s));
}

TEST_CASE("damaged tables give fewer facts, never a crash") {
  const std::string good = test::make_elf(rich());
  std::mt19937 noise(2);
  for (unsigned round = 0; round < 20000 / test::one_in(); ++round) {
    std::string bytes = good;
    for (int i = 0; i < 3; ++i) bytes[noise() % bytes.size()] = static_cast<char>(noise());
    if (round % 5 == 0) bytes.resize(noise() % bytes.size());
    const image::MemoryAccess data(bytes);
    const auto facts = elf::read_facts(data);
    REQUIRE(facts);
    if (*facts) CHECK(elf::read_dlopen_hints(data, **facts));
    CHECK(elf::read_loader_layout(data));
  }
}
