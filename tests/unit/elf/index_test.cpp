#include "elf/index.hpp"

#include "base/text.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>

#include "../image/memory_tree.hpp"

using orch::base::ErrorKind;
using orch::elf::Index;
using orch::elf::IndexOptions;
namespace image = orch::image;

namespace {

std::string own_program() {
  std::ifstream file("/proc/self/exe", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// One of each kind, awkward names, a hard link, and this test's own program as an ELF file.
orch::test::MemoryTree sample() {
  orch::test::MemoryTree tree;
  const auto etc = tree.directory(tree.root(), "etc");
  tree.file(etc, "ld.so.conf", "include ld.so.conf.d/*.conf\n\tback\\slash\n");
  tree.file(etc, "passwd", "root");
  tree.file(tree.root(), "tab\there\nand there\\", "");
  const auto bin = tree.directory(tree.root(), "bin");
  const auto program = tree.file(bin, "program", own_program());
  tree.name(bin, "same", program);
  tree.link(bin, "link", "program");
  tree.device(tree.root(), "null", 1, 3);
  tree.whiteout(tree.root(), "gone");
  auto& info = tree.info(bin);
  info.opaque = true;
  info.redirected = true;
  info.uid = 7;
  info.gid = 8;
  info.mtime = -5;
  info.mtime_nsec = 9;
  return tree;
}

}  // namespace

TEST_CASE("an index is what its text says, and answers as the tree") {
  const auto tree = sample();
  const auto made = Index::make(tree, IndexOptions{true});
  REQUIRE(made);
  const std::string text = (*made)->serialise();
  const auto read = Index::parse(text);
  REQUIRE(read);
  CHECK((*read)->serialise() == text);
  const Index& index = **read;
  std::vector<std::string> paths;
  REQUIRE(image::walk(tree, [&](const image::WalkEntry& entry) -> orch::base::Result<> {
    paths.push_back(entry.path);
    ORCH_TRY(const image::NodeInfo want, tree.stat(entry.node));
    std::optional<image::DirEntry> at = image::DirEntry{"", image::NodeType::directory, index.root()};
    for (const std::string_view name : orch::base::split(entry.path, '/')) {
      ORCH_TRY(at, index.lookup(at->node, name));
      REQUIRE(at);
    }
    ORCH_TRY(const image::NodeInfo got, index.stat(at->node));
    CHECK(at->type == entry.type);
    CHECK(got.mode == want.mode);
    CHECK(got.size == want.size);
    CHECK(got.mtime == 0);
    CHECK(got.mtime_nsec == 0);
    CHECK(got.uid == 0);
    CHECK(got.gid == 0);
    CHECK(got.whiteout_mark == want.whiteout_mark);
    CHECK(got.redirected == want.redirected);
    CHECK(got.opaque == want.opaque);
    CHECK(got.device_major == want.device_major);
    CHECK(got.device_minor == want.device_minor);
    return {};
  }));
  std::vector<std::string> again;
  REQUIRE(image::walk(index, [&](const image::WalkEntry& entry) -> orch::base::Result<> {
    again.push_back(entry.path);
    return {};
  }));
  CHECK(again == paths);
}

TEST_CASE("an index has the facts of ELF files, once for all names, and what the loader reads") {
  const auto made = Index::make(sample(), IndexOptions{true});
  REQUIRE(made);
  const auto read = Index::parse((*made)->serialise());
  REQUIRE(read);
  const Index& index = **read;
  const auto program = image::resolve(index, "bin/link");
  const auto same = image::resolve(index, "bin/same");
  REQUIRE(program);
  REQUIRE(same);
  CHECK(program->node == same->node);
  const auto* facts = index.facts(program->node);
  REQUIRE(facts != nullptr);
  const auto direct = orch::elf::read_facts(image::MemoryAccess(own_program()));
  REQUIRE(direct);
  CHECK(*facts == **direct);
  CHECK(!facts->needed.empty());
  CHECK(index.layout(program->node) == nullptr);
  const auto conf = image::resolve(index, "etc/ld.so.conf");
  const auto file = index.open(conf->node);
  REQUIRE(file);
  CHECK(image::read_exact(**file, 0, 100).error().kind == ErrorKind::corrupt);
  CHECK(image::read_exact(**file, 0, 27).value() == "include ld.so.conf.d/*.conf");
  CHECK(index.facts(conf->node) == nullptr);
  const auto passwd = index.open(image::resolve(index, "etc/passwd")->node);
  REQUIRE(!passwd);
  CHECK(passwd.error().kind == ErrorKind::unsupported);
}

TEST_CASE("a text that is cut or changed is an error or another index, never a crash") {
  const std::string text = (*Index::make(sample()))->serialise();
  for (std::size_t size = 0; size < text.size(); ++size) {
    const bool whole_line = size > 0 && text[size - 1] == '\n';
    const bool taken = Index::parse(std::string_view(text).substr(0, size)).has_value();
    CHECK((whole_line || !taken));
  }
}

TEST_CASE("impossible entries are refused") {
  const std::string first = "appimage-orch index 1\n";
  const std::string directory = "d\t755\t0\t0\t0\t0\t0\t0\t0\t0\t0\t0\t\n";
  CHECK(Index::parse(first + directory));
  CHECK(!Index::parse(first));
  CHECK(!Index::parse("appimage-orch index 2\n" + directory));
  CHECK(!Index::parse(first + directory + ">\t0\tself\n"));
  CHECK(!Index::parse(first + directory + ">\t1\tabsent\n"));
  CHECK(!Index::parse(first + directory + ">\t1\t..\n" + directory));
  CHECK(!Index::parse(first + directory + ">\t1\tb\n>\t2\ta\n" + directory + directory));
  CHECK(!Index::parse(first + directory + ">\tx\ta\n" + directory));
  CHECK(!Index::parse(first + "f\t755\t0\t0\t0\t0\t0\t0\t0\t0\t0\t0\t\n"));
  const auto damaged = Index::parse(first + directory + "?\t1\n");
  REQUIRE(!damaged);
  CHECK(damaged.error().what == "line 3 of an index is damaged");
}
