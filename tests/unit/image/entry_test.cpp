// Entry points: the first line of scripts as the kernel reads it, and where AppRun's links lead.
#include "image/entry.hpp"

#include "unit/image/memory_tree.hpp"

#include <doctest/doctest.h>

using namespace orch;
using image::EntryKind;
using image::parse_shebang;
using image::Shebang;
using test::MemoryTree;

TEST_CASE("a script's first line is an interpreter and at most one argument") {
  CHECK(parse_shebang("#!/bin/sh\n") == Shebang{"/bin/sh", ""});
  CHECK(parse_shebang("#! \t/bin/sh \t\nrest") == Shebang{"/bin/sh", ""});
  CHECK(parse_shebang("#!/usr/bin/env bash -e\n") == Shebang{"/usr/bin/env", "bash -e"});
  CHECK(parse_shebang("#!/bin/sh   a  b \t\n") == Shebang{"/bin/sh", "a  b"});
  CHECK(parse_shebang("#!/bin/sh") == Shebang{"/bin/sh", ""});
  CHECK(parse_shebang("#!/bin/sh -x") == Shebang{"/bin/sh", "-x"});
  CHECK(parse_shebang("#!/bin/sh\r\n") == Shebang{"/bin/sh\r", ""});
  CHECK(parse_shebang("#!relative x\n") == Shebang{"relative", "x"});
}

TEST_CASE("what the kernel refuses as a script is none") {
  CHECK_FALSE(parse_shebang(""));
  CHECK_FALSE(parse_shebang("#"));
  CHECK_FALSE(parse_shebang(" #!/bin/sh\n"));
  CHECK_FALSE(parse_shebang("#!\n/bin/sh\n"));
  CHECK_FALSE(parse_shebang("#!  \t \n"));
  CHECK_FALSE(parse_shebang("#!"));
}

TEST_CASE("the first line ends after 256 bytes") {
  const std::string name =
      "#!/" + std::string(251, 'a');  // 254 bytes; byte 255 is the last that is looked at
  CHECK(parse_shebang(name + "\n") == Shebang{name.substr(2), ""});
  CHECK(parse_shebang(name + "a\n") == Shebang{name.substr(2) + "a", ""});
  CHECK_FALSE(parse_shebang(name + "aa\n"));
  CHECK_FALSE(parse_shebang("#!/" + std::string(400, 'a') + " x\n"));
  const auto cut = parse_shebang("#!/bin/sh " + std::string(400, 'x') + "\n");
  REQUIRE(cut);
  CHECK(cut->interpreter == "/bin/sh");
  CHECK(cut->argument == std::string(245, 'x'));
}

TEST_CASE("AppRun may be a script, an ELF program, or a link to one inside the tree") {
  MemoryTree tree;
  const auto usr = tree.directory(tree.root(), "usr");
  const auto bin = tree.directory(usr, "bin");
  tree.file(bin, "app", "#!/bin/sh -e\n");
  tree.link(usr, "start", "../usr/./bin/app");
  tree.link(tree.root(), "AppRun", "usr/start");
  const auto entry = image::find_entry(tree);
  REQUIRE(entry);
  CHECK(entry->kind == EntryKind::script);
  CHECK(entry->target == "usr/bin/app");
  CHECK(entry->links == std::vector<std::string>{"usr/start", "../usr/./bin/app"});
  CHECK(entry->interpreter == "/bin/sh");
  CHECK(entry->argument == "-e");
  CHECK(entry->executable);
}

TEST_CASE("a link is followed through directories that are links") {
  MemoryTree tree;
  const auto opt = tree.directory(tree.root(), "opt");
  tree.file(opt, "run", "#!/bin/sh\n", 0644);
  tree.link(tree.root(), "usr", "opt");
  tree.link(tree.root(), "AppRun", "usr/run");
  const auto entry = image::find_entry(tree);
  REQUIRE(entry);
  CHECK(entry->target == "opt/run");
  CHECK_FALSE(entry->executable);
}

TEST_CASE("an entry point that is not in the tree is told apart from one outside of it") {
  MemoryTree tree;
  const auto kind = [&] { return image::find_entry(tree)->kind; };
  SUBCASE("absent") {
    CHECK(kind() == EntryKind::missing);
  }
  SUBCASE("dangling") {
    tree.link(tree.root(), "AppRun", "usr/bin/app");
    CHECK(kind() == EntryKind::missing);
    CHECK(image::find_entry(tree)->target == "usr");
  }
  SUBCASE("absolute") {
    tree.link(tree.root(), "AppRun", "/usr/bin/app");
    CHECK(kind() == EntryKind::outside);
    CHECK(image::find_entry(tree)->target == "/usr/bin/app");
  }
  SUBCASE("above the root") {
    tree.link(tree.root(), "AppRun", "../AppRun");
    CHECK(kind() == EntryKind::outside);
  }
  SUBCASE("a loop") {
    tree.link(tree.root(), "AppRun", "AppRun");
    CHECK(kind() == EntryKind::missing);
  }
  SUBCASE("a directory") {
    tree.directory(tree.root(), "AppRun");
    CHECK(kind() == EntryKind::unknown);
  }
  SUBCASE("data") {
    tree.file(tree.root(), "AppRun", "neither");
    CHECK(kind() == EntryKind::unknown);
  }
}

TEST_CASE("a walk gives parents first and refuses a directory that stands in itself") {
  MemoryTree tree;
  const auto a = tree.directory(tree.root(), "a");
  tree.file(a, "b", "");
  tree.file(tree.root(), "a-", "");
  std::vector<std::string> paths;
  const auto note = [&](const image::WalkEntry& entry) -> base::Result<> {
    paths.push_back(entry.path);
    return {};
  };
  CHECK(image::walk(tree, note));
  CHECK(paths == std::vector<std::string>{"a", "a/b", "a-"});
  CHECK_FALSE(image::walk(tree, note, {2, 10}));
  tree.name(a, "again", a);
  CHECK_FALSE(image::walk(tree, note));
}

TEST_CASE("names that could lead elsewhere are not valid") {
  for (const std::string_view name : {"a", "...", ".a", "a b", "\n", "\xff"})
    CHECK(image::is_valid_name(name));
  CHECK(image::is_valid_name(std::string(255, 'x')));
  for (const std::string_view name : {"", ".", "..", "/", "a/b"}) CHECK_FALSE(image::is_valid_name(name));
  CHECK_FALSE(image::is_valid_name(std::string_view("a\0b", 3)));
  CHECK_FALSE(image::is_valid_name(std::string(256, 'x')));
}
