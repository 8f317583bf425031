#include "sys/host_tree.hpp"

#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <unistd.h>

#include <filesystem>

using namespace orch;
using sys::HostTree;

TEST_CASE("a tree is a host: no link and no .. leads out of it") {
  const test::TempDir place;
  (void)place.write("root/etc/name", "inside");
  (void)place.write("etc/name", "outside");
  const std::string root = place / "root";
  const auto link = [&](const char* target, const char* name) {
    REQUIRE(::symlink(target, (root + "/" + name).c_str()) == 0);
  };
  link("/etc/name", "absolute");
  link("../../../etc/name", "relative");
  link("etc/", "folder");
  link("loop", "loop");
  link("/nothing", "dangling");
  const HostTree tree = HostTree::below(root);
  for (const char* path :
       {"/etc/name", "/absolute", "/relative", "/folder/name", "/../etc/name", "//etc/./name"})
    CHECK(tree.read(path, 100).value_or("?") == "inside");
  CHECK(tree.read("/etc/name", 3, 2).value_or("?") == "sid");
  CHECK(tree.real_path("/absolute").value_or("?") == root + "/etc/name");
  CHECK_FALSE(tree.exists("/loop"));
  CHECK_FALSE(tree.exists("/dangling"));
  CHECK_FALSE(tree.exists(root + "/etc/name"));
  CHECK(tree.is_directory("/folder"));
  CHECK_FALSE(tree.read("/folder", 1));
  CHECK(tree.list("/etc").value_or(std::vector<std::string>()) == std::vector<std::string>{"name"});
  CHECK_FALSE(tree.list("/etc/name"));
}

TEST_CASE("what is not a file is not read, and what cannot be run is no program") {
  const test::TempDir place;
  const std::string file = place.write("bin/tool", "#!/bin/sh\n");
  REQUIRE(::mkfifo((place / "fifo").c_str(), 0600) == 0);
  const HostTree tree = HostTree::below(place.path());
  CHECK_FALSE(tree.read("/fifo", 1));
  CHECK_FALSE(tree.is_program("/bin/tool"));
  CHECK_FALSE(tree.is_program("/bin"));
  std::filesystem::permissions(file, std::filesystem::perms::owner_all);
  CHECK(tree.is_program("/bin/tool"));
}

TEST_CASE("this machine") {
  const test::TempDir place;
  const std::string file = place.write("x", "text");
  CHECK(HostTree().read(file, 100).value_or("?") == "text");
  CHECK(HostTree().is_directory("/"));
}
