#include "image/bound_tree.hpp"

#include "image/memory_tree.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

using namespace orch;
using image::Bind;
using image::BoundTree;
using image::Links;
using image::Resolution;
using test::MemoryTree;

namespace {

std::shared_ptr<MemoryTree> base_tree() {
  auto tree = std::make_shared<MemoryTree>();
  const auto usr = tree->directory(tree->root(), "usr");
  tree->file(tree->directory(usr, "lib64"), "libc.so.6", "libc");
  tree->link(tree->root(), "lib64", "usr/lib64");
  tree->link(tree->root(), "home", "var/home");
  tree->directory(tree->directory(tree->root(), "var"), "home");
  tree->file(tree->root(), "plain", "in the way");
  return tree;
}

std::shared_ptr<MemoryTree> app_tree() {
  auto tree = std::make_shared<MemoryTree>();
  tree->file(tree->root(), "AppRun", "app");
  tree->link(tree->root(), "libc", "/lib64/libc.so.6");
  tree->link(tree->root(), "up", "..");
  return tree;
}

std::unique_ptr<BoundTree> bound(const std::vector<Bind>& binds) {
  auto made = BoundTree::make(base_tree(), binds);
  if (!made) FAIL(base::render(made.error()));
  return std::move(*made);
}

Resolution at(const image::FileTree& tree, const std::string& path) {
  auto found = image::resolve(tree, path, Links::in_root);
  REQUIRE(found.has_value());
  return *found;
}

std::string text_at(const image::FileTree& tree, const std::string& path) {
  const Resolution found = at(tree, path);
  REQUIRE(found.outcome == Resolution::Outcome::found);
  const auto data = tree.open(found.node);
  REQUIRE(data.has_value());
  return *image::read_exact(**data, 0, (*data)->size());
}

std::vector<std::string> names(const image::FileTree& tree, const std::string& path) {
  std::vector<std::string> out;
  const auto listed = tree.list(at(tree, path).node);
  REQUIRE(listed.has_value());
  for (const auto& entry : *listed) out.push_back(entry.name);
  return out;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_SUITE("image/bound_tree") {
  TEST_CASE("a tree shows at a path that the base does not have, and its links lead into the base") {
    const auto tree = bound({{"/opt/apps/x", app_tree()}});
    CHECK(text_at(*tree, "/opt/apps/x/AppRun") == "app");
    CHECK(text_at(*tree, "/opt/apps/x/libc") == "libc");
    CHECK(text_at(*tree, "/opt/apps/x/up/x/AppRun") == "app");
    CHECK(names(*tree, "/opt") == Names{"apps"});
    CHECK(names(*tree, "/") == Names{"home", "lib64", "opt", "plain", "usr", "var"});
    CHECK(tree->stat(at(*tree, "/opt").node)->mode == 0755);
    CHECK_FALSE(tree->source_of(at(*tree, "/opt").node).has_value());
    CHECK(tree->source_of(at(*tree, "/opt/apps/x").node)->tree == 1);
    CHECK(tree->source_of(at(*tree, "/lib64/libc.so.6").node)->tree == 0);
    CHECK(tree->source_of(tree->root())->tree == 0);
  }

  TEST_CASE("a directory on the way keeps what the base has there") {
    const auto tree = bound({{"/usr/x", app_tree()}});
    CHECK(names(*tree, "/usr") == Names{"lib64", "x"});
    CHECK(at(*tree, "/usr").node == at(*tree, "/usr/lib64/..").node);
  }

  TEST_CASE("links of the base are followed to the place of the bind") {
    const auto tree = bound({{"/home/u/app", app_tree()}});
    CHECK(tree->places() == Names{"var/home/u/app"});
    CHECK(text_at(*tree, "/home/u/app/AppRun") == "app");
    CHECK(text_at(*tree, "/var/home/u/app/AppRun") == "app");
    CHECK(names(*tree, "/") == Names{"home", "lib64", "plain", "usr", "var"});
  }

  TEST_CASE("the bound directory hides the base's, and so does a directory in the place of a file") {
    const auto tree = bound({{"/usr/lib64", app_tree()}, {"/plain/x", app_tree()}});
    CHECK(at(*tree, "/usr/lib64/libc.so.6").outcome == Resolution::Outcome::missing);
    CHECK(names(*tree, "/usr/lib64") == Names{"AppRun", "libc", "up"});
    CHECK(names(*tree, "/plain") == Names{"x"});
    CHECK(tree->stat(at(*tree, "/plain").node)->type == image::NodeType::directory);
    CHECK(text_at(*tree, "/plain/x/AppRun") == "app");
  }

  TEST_CASE("later binds lie in earlier ones") {
    auto inner = std::make_shared<MemoryTree>();
    inner->file(inner->root(), "inner", "inner");
    const auto tree = bound({{"/a/b", app_tree()}, {"/a/b/usr/c", inner}, {"/a/d", inner}});
    CHECK(names(*tree, "/a/b") == Names{"AppRun", "libc", "up", "usr"});
    CHECK(text_at(*tree, "/a/b/usr/c/inner") == "inner");
    CHECK(text_at(*tree, "/a/d/inner") == "inner");
    CHECK(tree->source_of(at(*tree, "/a/b/usr/c").node)->tree == 2);
  }

  TEST_CASE("list, lookup and walk agree") {
    const auto tree = bound({{"/usr/x", app_tree()}, {"/opt/y", app_tree()}});
    std::size_t entries = 0;
    const auto done = image::walk(*tree, [&](const image::WalkEntry& entry) -> image::Result<> {
      ++entries;
      const auto found = image::resolve(*tree, entry.path, Links::in_root, image::LastLink::keep);
      CHECK(found->node == entry.node);
      CHECK(found->type == entry.type);
      return {};
    });
    CHECK(done.has_value());
    CHECK(entries == 17);
  }

  TEST_CASE("paths that cannot be bound are refused") {
    const auto base = base_tree();
    base->link(base->root(), "circle", "circle");
    base->link(base->root(), "lost", "nowhere/../x");
    CHECK(BoundTree::make(base, {{"relative", app_tree()}}).error().what ==
          "'relative' is relative, expected an absolute path");
    CHECK(BoundTree::make(base, {{"/", app_tree()}}).error().kind == base::ErrorKind::usage);
    CHECK(BoundTree::make(base, {{"/usr/..", app_tree()}}).error().kind == base::ErrorKind::usage);
    CHECK(BoundTree::make(base, {{"/circle/x", app_tree()}}).error().what ==
          "symbolic links run in circles at '/circle/x'");
    CHECK(BoundTree::make(base, {{"/lost/x", app_tree()}}).error().what ==
          "'/lost/x' needs '..' in a directory that does not exist");
  }
}
