#include "elf/index.hpp"

#include "base/text.hpp"
#include "elf/index_objects.hpp"
#include "support/elf_writer.hpp"
#include "support/one_in.hpp"

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

TEST_CASE("an index is what its bytes say, and answers as the tree") {
  const auto tree = sample();
  const auto made = Index::make(tree, IndexOptions{true});
  REQUIRE(made);
  const std::string bytes((*made)->bytes());
  const auto read = Index::parse(bytes);
  REQUIRE(read);
  CHECK((*read)->bytes() == bytes);
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
  const auto read = Index::parse(std::string((*made)->bytes()));
  REQUIRE(read);
  const Index& index = **read;
  const auto program = image::resolve(index, "bin/link");
  const auto same = image::resolve(index, "bin/same");
  REQUIRE(program);
  REQUIRE(same);
  CHECK(program->node == same->node);
  const auto facts = *index.facts(program->node);
  REQUIRE(facts);
  const auto direct = orch::elf::read_facts(image::MemoryAccess(own_program()));
  REQUIRE(direct);
  CHECK(*facts == **direct);
  CHECK(!facts->needed.empty());
  CHECK(!*index.layout(program->node));
  CHECK(*index.dlopen_hints(program->node) ==
        *orch::elf::read_dlopen_hints(image::MemoryAccess(own_program()), *facts));
  const auto conf = image::resolve(index, "etc/ld.so.conf");
  const auto file = index.open(conf->node);
  REQUIRE(file);
  CHECK(image::read_exact(**file, 0, 100).error().kind == ErrorKind::corrupt);
  CHECK(image::read_exact(**file, 0, 27).value() == "include ld.so.conf.d/*.conf");
  CHECK(!*index.facts(conf->node));
  const auto passwd = index.open(image::resolve(index, "etc/passwd")->node);
  REQUIRE(!passwd);
  CHECK(passwd.error().kind == ErrorKind::unsupported);
}

TEST_CASE("what an index knows of ELF files is all that was read of them") {
  orch::test::MemoryTree tree;
  orch::test::ElfSpec spec;
  spec.soname = "ld-linux-x86-64.so.2";
  spec.definitions = {"GLIBC_2.3", "GLIBC_2.35"};
  spec.data = std::string("/lib/x86_64-linux-gnu/\0/usr/lib/x86_64-linux-gnu/\0/lib/\0/usr/lib/", 65);
  tree.file(tree.root(), "loader", orch::test::make_elf(spec));
  spec = {};
  spec.needed = {"liba.so.1", "$ORIGIN/libb.so"};
  spec.runpath = "$ORIGIN/../lib::/opt";
  spec.versions = {{"libc.so.6", {{"GLIBC_2.34"}, {"GLIBC_2.2.5", true}}}};
  tree.file(tree.root(), "program", orch::test::make_elf(spec));
  const auto made = Index::make(tree);
  REQUIRE(made);
  const Index& index = **made;
  const auto facts_of = [&](const char* name) {
    const auto entry = tree.lookup(tree.root(), name);
    const auto file = tree.open((*entry)->node);
    const auto indexed = index.lookup(index.root(), name);
    const auto direct = orch::elf::read_facts(**file);
    CHECK(*index.facts((*indexed)->node) == *direct);
    CHECK(*index.layout((*indexed)->node) == *orch::elf::read_loader_layout(**file));
    return **direct;
  };
  CHECK(facts_of("loader").definitions.size() == 2);
  CHECK(facts_of("program").versions.at(1).weak);
  CHECK(*index.layout((*index.lookup(index.root(), "loader"))->node) == orch::elf::debian_layout());
  CHECK(*index.elf_file(index.root()) == std::nullopt);
}

TEST_CASE("a tree with too many names is refused, also where they are names of few files") {
  orch::test::MemoryTree tree;
  const auto file = tree.file(tree.root(), "file", "x");
  for (int i = 0; i < 10; ++i) {
    const auto folder = tree.directory(tree.root(), "d" + std::to_string(i));
    for (int name = 0; name < 9; ++name) tree.name(folder, std::to_string(name), file);
  }
  CHECK(Index::make(tree, {.most_entries = 11 + 90}));
  const auto refused = Index::make(tree, {.most_entries = 100});
  REQUIRE(!refused);
  CHECK(refused.error().what == "the tree has more than 100 files");
}

TEST_CASE("a tree that is nested too deep is refused, before its paths take memory") {
  orch::test::MemoryTree tree;
  image::NodeId at = tree.root();
  for (int depth = 0; depth < 256; ++depth) at = tree.directory(at, std::string(255, 'd'));
  tree.file(at, "file", "x");
  CHECK(Index::make(tree));
  tree.directory(at, "more");
  const auto refused = Index::make(tree);
  REQUIRE(!refused);
  CHECK(refused.error().what == "directories are nested more than 256 deep");
}

TEST_CASE("which small files an index keeps is a matter of where they lie") {
  orch::test::MemoryTree tree;
  const auto folder = [&](image::NodeId in, const char* name) { return tree.directory(in, name); };
  const auto etc = folder(tree.root(), "etc");
  const auto bin = folder(folder(folder(tree.root(), "opt"), "own"), "bin");
  const std::vector<std::pair<image::NodeId, const char*>> kept = {
      {tree.root(), "own.desktop"},
      {tree.root(), "AppRun"},
      {etc, "os-release"},
      {bin, "start"},
      {folder(folder(etc, "ld.so.conf.d"), "more"), "own.conf"},
      {folder(folder(tree.root(), "usr"), "lib"), "os-release"}};
  const std::vector<std::pair<image::NodeId, const char*>> others = {
      {etc, "own.desktop"},
      {folder(bin, "etc"), "ld.so.conf"},
      {folder(tree.root(), "lib"), "os-release"},
      {folder(tree.root(), "share"), "start"}};
  for (const auto& list : {kept, others})
    for (const auto& [in, name] : list) tree.file(in, name, "#!/bin/sh\n");
  const auto index = Index::make(tree);
  REQUIRE(index);
  std::size_t opened = 0;
  REQUIRE(image::walk(**index, [&](const image::WalkEntry& entry) -> orch::base::Result<> {
    if (entry.type == image::NodeType::file && (*index)->open(entry.node)) ++opened;
    return {};
  }));
  CHECK(opened == kept.size());
  for (const char* path : {"own.desktop", "AppRun", "etc/os-release", "opt/own/bin/start",
                           "etc/ld.so.conf.d/more/own.conf", "usr/lib/os-release"})
    CHECK((*index)->open(image::resolve(**index, path)->node));
}

TEST_CASE("ELF files of an index do not share their words") {
  orch::test::MemoryTree tree;
  orch::test::ElfSpec spec;
  spec.needed = {"liba.so.1"};
  tree.file(tree.root(), "one", orch::test::make_elf(spec));
  tree.file(tree.root(), "two", orch::test::make_elf(spec));
  const std::string bytes((*Index::make(tree))->bytes());
  constexpr std::size_t k_second = 48 + 3 * 32 + 88 + 52;  // FileRecord::first
  REQUIRE(bytes.at(k_second) == 1);
  std::string other = bytes;
  other[k_second] = 0;
  CHECK(Index::parse(other).error().what == "an index has ELF files that share their facts");
  other = bytes;
  other[k_second + 4] = 0;  // needs nothing
  CHECK(Index::parse(other).error().what == "an index has facts of no ELF file");
}

TEST_CASE("an index that is cut is refused") {
  const std::string bytes((*Index::make(sample(), IndexOptions{true}))->bytes());
  for (std::size_t size = 0; size < bytes.size(); ++size) CHECK(!Index::parse(bytes.substr(0, size)));
  CHECK(!Index::parse(bytes + "x"));
  CHECK(Index::empty()->bytes().size() == 24 + 24 + 32 + 4);
  std::string other(Index::empty()->bytes());
  other[other.find('2')] = '3';
  CHECK(Index::parse(other).error().what == "an index is cut off, or of another version");
}

// Every byte takes some other values; what is still taken answers every question.
TEST_CASE("an index that was changed is refused or another index") {
  orch::test::MemoryTree tree = sample();
  orch::test::ElfSpec spec;
  spec.needed = {"liba.so.1"};
  spec.versions = {{"libc.so.6", {{"GLIBC_2.34"}}}};
  tree.file(tree.root(), "small", orch::test::make_elf(spec));
  const std::string bytes((*Index::make(tree))->bytes());
  std::size_t taken = 0;
  for (std::size_t at = 0; at < bytes.size(); at += orch::test::one_in())
    for (const char value : {'\0', '\1', '\7', '\x7f', '\x80', '\xff'}) {
      std::string damaged = bytes;
      damaged[at] = value;
      const auto index = Index::parse(std::move(damaged));
      if (!index) {
        CHECK(index.error().kind == ErrorKind::corrupt);
        continue;
      }
      ++taken;
      orch::elf::Objects objects;
      orch::elf::IndexObjects made(*index, objects);
      for (std::size_t node = 0; node < (*index)->size(); ++node) {
        const image::NodeId id{node};
        const auto refused = [](const auto& result) {
          if (!result) CHECK(result.error().kind == ErrorKind::corrupt);
          return !result;
        };
        refused((*index)->stat(id));
        refused((*index)->list(id));
        refused((*index)->lookup(id, "small"));
        refused((*index)->readlink(id));
        (void)(*index)->open(id);
        const auto facts = (*index)->facts(id);
        const auto object = made.object(id);
        CHECK(facts.has_value() == object.has_value());
        if (!refused(facts)) CHECK(facts->has_value() == (*object != nullptr));
        refused((*index)->layout(id));
        refused((*index)->dlopen_hints(id));
      }
    }
  CHECK(taken > 0);
}

TEST_CASE("impossible records are refused, and the message says what") {
  const std::string empty(Index::empty()->bytes());
  const auto with = [&](std::size_t at, char value) {
    std::string bytes = empty;
    bytes.at(at) = value;
    const auto read = Index::parse(std::move(bytes));
    if (!read) return read.error().what;
    const auto list = (*read)->list((*read)->root());
    return list ? std::string("taken") : list.error().what;
  };
  constexpr std::size_t k_node = 48;
  CHECK(with(k_node + 8, 0) == "taken");
  CHECK(with(k_node + 9, 0x01) == "an index has no root directory");
  CHECK(with(k_node + 10, 0x10) == "an index has a node of an unknown kind");
  CHECK(with(k_node + 24, 1) == "an index has a directory without its entries");
  CHECK(with(k_node + 28, 1) == "an index has a directory without its entries");
  CHECK(with(k_node + 32, 1) == "an index has texts that do not fill their place");
  CHECK(Index::empty()->stat(image::NodeId{7}).error().what == "an index has 1 nodes, asked for number 7");
}
