#include "image/fex_path.hpp"

#include "image/memory_tree.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace orch;
using image::fex_resolve;
using image::FexLookup;
using image::FexPath;
using Outcome = image::FexPath::Outcome;
using test::MemoryTree;

namespace {

// A root file system whose `lib64` is a link to `target`; usr/lib64 is left for more.
struct RootFs {
  MemoryTree tree{};
  image::NodeId libraries;

  explicit RootFs(const std::string& lib64) {
    libraries = tree.directory(tree.directory(tree.root(), "usr"), "lib64");
    tree.file(libraries, "ld.so", "loader");
    tree.link(tree.root(), "lib64", lib64);
  }
};

FexPath at(const RootFs& root, const std::string& path, FexLookup how) {
  const auto found = fex_resolve(root.tree, path, how);
  REQUIRE(found.has_value());
  return *found;
}

void check(const RootFs& root, const std::string& path, FexLookup how, Outcome outcome,
           const std::string& where) {
  const FexPath found = at(root, path, how);
  CHECK(found.outcome == outcome);
  CHECK(found.path == where);
}

}  // namespace

TEST_SUITE("image/fex_path") {
  TEST_CASE("a relative link in the middle stays, an absolute one leads the loader to the host") {
    check(RootFs("usr/lib64"), "/lib64/ld.so", FexLookup::loader, Outcome::found, "usr/lib64/ld.so");
    check(RootFs("/usr/lib64"), "/lib64/ld.so", FexLookup::loader, Outcome::escapes, "/usr/lib64/ld.so");
    check(RootFs("/usr/lib64"), "/lib64/ld.so", FexLookup::open, Outcome::found, "usr/lib64/ld.so");
    check(RootFs("/usr/lib64"), "/lib64/a/b", FexLookup::loader, Outcome::escapes, "/usr/lib64/a/b");
  }

  TEST_CASE("a last component that is an absolute link is looked up in the RootFS again, repeatedly") {
    RootFs root("usr/lib64");
    root.tree.link(root.libraries, "first", "/lib64/second");
    root.tree.link(root.libraries, "second", "/usr/lib64/ld.so");
    const FexPath found = at(root, "/lib64/first", FexLookup::loader);
    CHECK(found.outcome == Outcome::found);
    CHECK(found.path == "usr/lib64/ld.so");
    CHECK(found.links ==
          std::vector<std::string>{"usr/lib64", "/lib64/second", "usr/lib64", "/usr/lib64/ld.so"});
    CHECK(root.tree.stat(found.node)->size == 6);
  }

  TEST_CASE("an absolute link behind a relative last one escapes") {
    RootFs root("usr/lib64");
    root.tree.link(root.libraries, "relative", "absolute");
    root.tree.link(root.libraries, "absolute", "/usr/lib64/ld.so");
    check(root, "/usr/lib64/absolute", FexLookup::loader, Outcome::found, "usr/lib64/ld.so");
    check(root, "/usr/lib64/relative", FexLookup::loader, Outcome::escapes, "/usr/lib64/ld.so");
    check(root, "/usr/lib64/relative", FexLookup::open, Outcome::found, "usr/lib64/ld.so");
  }

  TEST_CASE("too many '..' lead the loader into the directory that the RootFS is mounted in") {
    check(RootFs("../../x"), "/lib64/ld.so", FexLookup::loader, Outcome::escapes, "/run/fex-emu/../x/ld.so");
    check(RootFs("../../usr/lib64"), "/lib64/ld.so", FexLookup::open, Outcome::found, "usr/lib64/ld.so");
    check(RootFs(".."), "/lib64", FexLookup::loader, Outcome::escapes, "/run/fex-emu");
  }

  TEST_CASE("an absolute link to the place of the RootFS itself comes back") {
    check(RootFs("/run/fex-emu/rootfs/usr/lib64"), "/lib64/ld.so", FexLookup::loader, Outcome::found,
          "usr/lib64/ld.so");
    check(RootFs("/run/fex-emu/rootfs2/usr"), "/lib64/ld.so", FexLookup::loader, Outcome::escapes,
          "/run/fex-emu/rootfs2/usr/ld.so");
    check(RootFs("../rootfs/usr/lib64"), "/lib64/ld.so", FexLookup::loader, Outcome::found,
          "usr/lib64/ld.so");
  }

  TEST_CASE("what is not there and what runs in circles is said") {
    check(RootFs("usr/lib64"), "/lib64/none/x", FexLookup::loader, Outcome::missing, "usr/lib64/none");
    check(RootFs("usr/gone"), "/lib64/ld.so", FexLookup::open, Outcome::missing, "usr/gone");
    CHECK(at(RootFs("/lib64"), "/lib64", FexLookup::loader).outcome == Outcome::loop);
    CHECK(at(RootFs("lib64"), "/lib64", FexLookup::loader).outcome == Outcome::loop);
    CHECK(at(RootFs("/run/fex-emu/rootfs/lib64"), "/lib64/x", FexLookup::loader).outcome == Outcome::loop);
    CHECK(at(RootFs("/lib64"), "/lib64/x", FexLookup::open).outcome == Outcome::loop);
  }
}
