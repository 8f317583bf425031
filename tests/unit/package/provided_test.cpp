// Which packages the images of a stack have already, told by their files.
#include "package/provided.hpp"

#include <doctest/doctest.h>

#include <memory>

#include "../image/memory_tree.hpp"

using namespace orch;
using package::EntryKind;

namespace {

package::UnpackedEntry entry(const std::string& path, EntryKind kind = EntryKind::file) {
  package::UnpackedEntry out;
  out.entry.path = path;
  out.entry.kind = kind;
  return out;
}

package::LockedPackage named(const std::string& name) {
  package::LockedPackage out;
  out.name = name;
  return out;
}

// A base with merged /usr: libx.so.1, a program, and a copyright file; a layer upon it with liby.so.1.
std::unique_ptr<image::MergedView> base_view() {
  auto tree = std::make_shared<test::MemoryTree>();
  const auto usr = tree->directory(tree->root(), "usr");
  const auto lib = tree->directory(usr, "lib");
  const auto multiarch = tree->directory(lib, "x86_64-linux-gnu");
  tree->link(tree->root(), "lib", "usr/lib");
  tree->file(multiarch, "libx.so.1.2", "x");
  tree->link(multiarch, "libx.so.1", "libx.so.1.2");
  tree->link(multiarch, "libgone.so", "nowhere");
  tree->directory(multiarch, "folder.so");
  tree->file(tree->directory(usr, "bin"), "tool", "x");
  const auto doc = tree->directory(tree->directory(tree->directory(usr, "share"), "doc"), "meta");
  tree->file(doc, "copyright", "x");
  auto upper = std::make_shared<test::MemoryTree>();
  upper->file(upper->directory(upper->directory(upper->root(), "usr"), "lib"), "liby.so.1", "y");
  return *image::MergedView::make({{"base", tree}, {"gpu", upper}});
}

std::string why(const std::string& name, const std::vector<package::UnpackedEntry>& entries) {
  const auto view = base_view();
  const auto answer = package::provided_by(*view, named(name), entries);
  REQUIRE(answer);
  return *answer ? (*answer)->layer + ": " + (*answer)->why : "";
}

}  // namespace

TEST_CASE("libraries decide, wherever the package has them, and data that the base lacks do not matter") {
  const auto directory = entry("./lib/x86_64-linux-gnu", EntryKind::directory);
  CHECK(why("libx1", {directory, entry("./lib/x86_64-linux-gnu/libx.so.1", EntryKind::symlink),
                      entry("./usr/lib/x86_64-linux-gnu/libx.so.1.2"), entry("./usr/share/x/data")}) ==
        "base: the layer has its files in library directories (2)");
  CHECK(why("libx1", {entry("./usr/lib/x86_64-linux-gnu/libx.so.1.3")}).empty());
  CHECK(why("libx1",
            {entry("./usr/lib/x86_64-linux-gnu/libx.so.1.2"), entry("./usr/lib/x86_64-linux-gnu/new.so")})
            .empty());
}

TEST_CASE("what the layer has under the name has to be a file or a link, wherever the link leads") {
  CHECK(why("libgone", {entry("./usr/lib/x86_64-linux-gnu/libgone.so", EntryKind::symlink)}) ==
        "base: the layer has its files in library directories (1)");
  CHECK(why("folder", {entry("./usr/lib/x86_64-linux-gnu/folder.so")}).empty());
}

TEST_CASE("a directory that only begins like one of libraries is none") {
  CHECK(why("libx1", {entry("./usr/lib/x86_64-linux-gnu/libx.so.1.2"), entry("./usr/libexec/absent")}) ==
        "base: the layer has its files in library directories (1)");
}

TEST_CASE("of several layers the topmost that has one of the files is named") {
  const auto x = entry("./usr/lib/x86_64-linux-gnu/libx.so.1.2");
  const auto y = entry("./usr/lib/liby.so.1");
  CHECK(why("libxy", {x, y}) == "gpu: the layer has its files in library directories (2)");
  CHECK(why("libxy", {y, x}) == "gpu: the layer has its files in library directories (2)");
}

TEST_CASE("a package without libraries is there if all of its files are") {
  CHECK(why("tools", {entry("./usr/bin/tool"), entry("./usr/share/doc/tools/copyright")}) ==
        "base: the layer has its files (1)");
  CHECK(why("tools", {entry("./usr/bin/tool"), entry("./usr/bin/other")}).empty());
}

TEST_CASE("a package of documentation is known by its copyright file; one of nothing is not known") {
  CHECK(why("meta", {entry("./usr/share/doc/meta/copyright"), entry("./usr/share/man/x.1")}) ==
        "base: the layer has its files (1)");
  CHECK(why("other", {entry("./usr/share/doc/other/copyright")}).empty());
  CHECK(why("empty", {}).empty());
}

TEST_CASE("the ABI boundary is the base's, whatever files it has") {
  CHECK(why("libc6", {entry("./lib/x86_64-linux-gnu/absent.so")}) ==
        "base: loader, C library and compiler runtime belong to the base alone");
}
