// Files and locks as the rest of the tool relies on them.
#include "sys/file.hpp"

#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <string>

using namespace orch;
using test::TempDir;

TEST_SUITE("file") {
  TEST_CASE("paths") {
    CHECK(sys::absolute_path("a/../b/./c", "/x") == "/x/b/c");
    CHECK(sys::absolute_path("/../..", "/x") == "/");
    CHECK(sys::absolute_path("..", "/x/y") == "/x");
    CHECK(sys::parent_path("/a/b") == "/a");
    CHECK(sys::parent_path("/a") == "/");
    CHECK(sys::parent_path("a") == ".");
    CHECK(sys::path_within("/a/b", "/a") == "b");
    CHECK(sys::path_within("/a", "/a") == ".");
    CHECK_FALSE(sys::path_within("/ab", "/a"));
  }

  TEST_CASE("an atomic write replaces, and leaves nothing beside") {
    const TempDir temp;
    const std::string file = temp / "f";
    REQUIRE(sys::write_atomic(file, "one", sys::Sync::yes));
    REQUIRE(sys::write_atomic(file, "two"));
    CHECK(sys::read_file(file) == "two");
    CHECK(sys::list_dir(temp.path())->size() == 1);
    CHECK(*sys::write_if_changed(file, "two") == false);
    CHECK(*sys::write_if_changed(file, "three") == true);
  }

  TEST_CASE("a mapped file has its bytes as long as it is held") {
    TempDir dir;
    const std::string path = dir / "f";
    const std::string bytes(100'000, 'x');
    REQUIRE(sys::write_atomic(path, bytes));
    const auto mapped = sys::MappedFile::open(path);
    REQUIRE(mapped);
    REQUIRE(sys::write_atomic(path, ""));
    CHECK((*mapped)->bytes() == bytes);
    CHECK((*sys::MappedFile::open(path))->bytes().empty());
    CHECK(sys::MappedFile::open(dir / "none").error().kind == base::ErrorKind::not_found);
    CHECK(!sys::MappedFile::open("/dev/null"));
  }

  TEST_CASE("a file that has no size is read to its end") {
    const auto text = sys::read_file("/proc/sys/kernel/pid_max");
    REQUIRE(text);
    CHECK(std::stoul(*text) > 300);  // the least that the kernel takes; it gives nothing to a second read
    CHECK(sys::read_file("/proc/self/maps")->ends_with("\n"));
    CHECK(sys::read_file("/dev/null")->empty());
  }

  TEST_CASE("errors name the path and their kind") {
    const auto missing = sys::read_file("/no/such/file");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().what == "cannot open '/no/such/file': No such file or directory");
    CHECK(missing.error().kind == base::ErrorKind::not_found);
  }

  TEST_CASE("a tree is removed whatever its modes, and links are not followed") {
    const TempDir temp;
    temp.write("keep/file", "x");
    temp.write("tree/a/b", "y");
    REQUIRE(::symlink((temp / "keep").c_str(), (temp / "tree/link").c_str()) == 0);
    REQUIRE(::chmod((temp / "tree/a").c_str(), 0) == 0);
    REQUIRE(sys::remove_tree(temp / "tree"));
    CHECK_FALSE(sys::exists(temp / "tree"));
    CHECK(sys::exists(temp / "keep/file"));
    CHECK(sys::remove_tree(temp / "never was"));
  }

  TEST_CASE("a lock is held once, and is free when its holder is gone") {
    const TempDir temp;
    const std::string path = temp / "lock";
    {
      const auto first = sys::FileLock::acquire(path, sys::FileLock::Wait::no);
      REQUIRE(first);
      REQUIRE(*first);
      const auto second = sys::FileLock::acquire(path, sys::FileLock::Wait::no);
      REQUIRE(second);
      CHECK_FALSE(*second);
    }
    const auto third = sys::FileLock::acquire(path, sys::FileLock::Wait::no);
    REQUIRE(third);
    CHECK(*third);
  }
}
