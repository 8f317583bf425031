// Listings of trees: what is in them, and what they do not depend on.
#include "hash/tree.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace orch;

namespace {

struct TempDir {
  TempDir() {
    std::string pattern = "/tmp/orch-tree-XXXXXX";
    path = ::mkdtemp(pattern.data());
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() { std::filesystem::remove_all(path); }
  void write(const std::string& name, const std::string& text, mode_t mode = 0644) const {
    std::ofstream(path + "/" + name, std::ios::binary) << text;
    REQUIRE(::chmod((path + "/" + name).c_str(), mode) == 0);
  }
  std::string path;
};

void fill(const TempDir& dir) {
  std::filesystem::create_directories(dir.path + "/a/b");
  dir.write("a/b/file", "hello", 0755);
  dir.write("a-", "sorts before a/b", 0644);
  dir.write("empty", "");
  std::filesystem::create_symlink("../nowhere", dir.path + "/a/link");
  std::filesystem::create_hard_link(dir.path + "/a/b/file", dir.path + "/z");
}

}  // namespace

TEST_CASE("a listing has every entry in byte order, with its type, mode, size and content") {
  const TempDir dir;
  fill(dir);
  const auto listing = hash::list_tree(dir.path, 2);
  REQUIRE(listing);
  std::vector<std::string> paths;
  for (const auto& entry : listing->entries) paths.push_back(entry.path);
  CHECK(paths == std::vector<std::string>{"a", "a-", "a/b", "a/b/file", "a/link", "empty", "z"});
  const auto& file = listing->entries[3];
  CHECK(file.type == hash::EntryType::file);
  CHECK(file.mode == 0755);
  CHECK(file.size == 5);
  CHECK(file.digest == hash::digest_of("hello"));
  const auto& link = listing->entries[4];
  CHECK(link.type == hash::EntryType::symlink);
  CHECK(link.target == "../nowhere");
  CHECK(link.mode == 0777);
  CHECK(link.size == 10);
  const auto& hard = listing->entries[6];
  CHECK(hard.hard_link == "a/b/file");
  CHECK(hard.digest == file.digest);
  CHECK(listing->total_bytes() == 5 + 16);
}

TEST_CASE(
    "the digest is the same for equal trees, whatever the order of creation and the number of threads") {
  const TempDir one;
  const TempDir two;
  fill(one);
  two.write("z", "hello", 0755);
  two.write("empty", "");
  std::filesystem::create_directories(two.path + "/a/b");
  std::filesystem::create_hard_link(two.path + "/z", two.path + "/a/b/file");
  std::filesystem::create_symlink("../nowhere", two.path + "/a/link");
  two.write("a-", "sorts before a/b", 0644);
  CHECK(hash::list_tree(one.path, 1)->digest() == hash::list_tree(two.path, 4)->digest());
}

TEST_CASE("content, mode, link target and a link turned into a copy each change the digest") {
  const TempDir dir;
  fill(dir);
  const auto before = hash::list_tree(dir.path, 1)->sha256();
  SUBCASE("content") {
    dir.write("empty", "x");
  }
  SUBCASE("mode") {
    dir.write("empty", "", 0600);
  }
  SUBCASE("target") {
    std::filesystem::remove(dir.path + "/a/link");
    std::filesystem::create_symlink("../nowhera", dir.path + "/a/link");
  }
  SUBCASE("copy for link") {
    std::filesystem::remove(dir.path + "/z");
    dir.write("z", "hello", 0755);
  }
  SUBCASE("an empty directory") {
    std::filesystem::create_directory(dir.path + "/new");
  }
  CHECK_FALSE(hash::list_tree(dir.path, 1)->sha256() == before);
}

TEST_CASE("a FIFO in a tree is an error that names it") {
  const TempDir dir;
  REQUIRE(::mkfifo((dir.path + "/pipe").c_str(), 0600) == 0);
  const auto listing = hash::list_tree(dir.path, 1);
  REQUIRE_FALSE(listing);
  CHECK(listing.error().what.find("pipe") != std::string::npos);
}
