#include "image/merged_view.hpp"

#include "image/memory_tree.hpp"

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace orch;
using image::Layer;
using image::MergedView;
using image::NodeType;
using image::OneLayer;
using test::MemoryTree;

namespace {

struct Stack {
  std::vector<std::shared_ptr<MemoryTree>> trees{};

  MemoryTree& add() {
    trees.push_back(std::make_shared<MemoryTree>());
    return *trees.back();
  }
  std::unique_ptr<MergedView> view(OneLayer one = OneLayer::bare) const {
    std::vector<Layer> layers;
    for (const auto& tree : trees) layers.push_back({"layer " + std::to_string(layers.size()), tree});
    auto made = MergedView::make(std::move(layers), one);
    REQUIRE(made.has_value());
    return std::move(*made);
  }
};

// Path to "type layer".
std::map<std::string, std::string> shown(const MergedView& view) {
  std::map<std::string, std::string> out;
  const auto done = image::walk(view, [&](const image::WalkEntry& entry) -> image::Result<> {
    out[entry.path] =
        std::string(image::to_string(entry.type)) + " " + std::to_string(view.layer_of(entry.node));
    return {};
  });
  REQUIRE(done.has_value());
  return out;
}

using Shown = std::map<std::string, std::string>;

image::DirEntry find(const image::FileTree& tree, const std::string& path) {
  const auto found = image::resolve(tree, path, image::Links::leave, image::LastLink::keep);
  REQUIRE(found.has_value());
  REQUIRE(found->outcome == image::Resolution::Outcome::found);
  return {path, found->type, found->node};
}

}  // namespace

TEST_SUITE("image/merged_view") {
  TEST_CASE("the topmost entry of a name decides, directories are united") {
    Stack stack;
    MemoryTree& bottom = stack.add();
    const auto usr = bottom.directory(bottom.root(), "usr");
    bottom.file(usr, "both", "below");
    bottom.file(usr, "below", "1");
    bottom.info(usr).mode = 0700;
    MemoryTree& top = stack.add();
    const auto over = top.directory(top.root(), "usr");
    top.file(over, "both", "above");
    top.file(over, "above", "2");
    top.info(over).links = 7;
    const auto view = stack.view();
    CHECK(shown(*view) == Shown{{"usr", "directory 1"},
                                {"usr/above", "file 1"},
                                {"usr/below", "file 0"},
                                {"usr/both", "file 1"}});
    const auto merged = find(*view, "usr").node;
    CHECK(view->stat(merged)->mode == 0755);
    CHECK(view->stat(merged)->links == 1);
    CHECK(view->layers_of(merged) == std::vector<std::size_t>{1, 0});
    CHECK(view->node_in_layer(find(*view, "usr/below").node) == find(bottom, "usr/below").node);
    CHECK(image::read_exact(**view->open(find(*view, "usr/both").node), 0, 5) == "above");
  }

  TEST_CASE("a directory over a symlink hides the link and all behind it") {
    Stack stack;
    MemoryTree& base = stack.add();
    base.file(base.directory(base.directory(base.root(), "usr"), "lib64"), "libc.so.6", "libc");
    base.link(base.root(), "lib64", "usr/lib64");
    MemoryTree& overlay = stack.add();
    overlay.file(overlay.directory(overlay.root(), "lib64"), "libx.so", "x");
    const auto view = stack.view();
    CHECK(image::resolve(*view, "/lib64/libc.so.6", image::Links::in_root)->outcome ==
          image::Resolution::Outcome::missing);
    CHECK(view->layers_of(find(*view, "lib64").node) == std::vector<std::size_t>{1});
    CHECK(find(*view, "usr/lib64/libc.so.6").type == NodeType::file);
  }

  TEST_CASE("a file, a symlink and a whiteout end the union, also in the middle") {
    for (const int kind : {0, 1, 2}) {
      Stack stack;
      MemoryTree& bottom = stack.add();
      bottom.file(bottom.directory(bottom.root(), "d"), "below", "");
      MemoryTree& middle = stack.add();
      if (kind == 0) middle.file(middle.root(), "d", "file");
      if (kind == 1) middle.link(middle.root(), "d", "elsewhere");
      if (kind == 2) middle.whiteout(middle.root(), "d");
      CHECK(stack.view()->lookup({0}, "d")->has_value() == (kind != 2));
      MemoryTree& top = stack.add();
      top.file(top.directory(top.root(), "d"), "above", "");
      CHECK(shown(*stack.view()) == Shown{{"d", "directory 2"}, {"d/above", "file 2"}});
    }
  }

  TEST_CASE("a layer that lacks the name does not end the union") {
    Stack stack;
    MemoryTree& bottom = stack.add();
    bottom.file(bottom.directory(bottom.root(), "d"), "below", "");
    stack.add();
    MemoryTree& top = stack.add();
    top.directory(top.root(), "d");
    CHECK(shown(*stack.view()) == Shown{{"d", "directory 2"}, {"d/below", "file 0"}});
  }

  TEST_CASE("an opaque directory shows nothing from below, an opaque root does not matter") {
    Stack stack;
    MemoryTree& bottom = stack.add();
    bottom.file(bottom.directory(bottom.root(), "d"), "below", "");
    MemoryTree& top = stack.add();
    const auto directory = top.directory(top.root(), "d");
    top.file(directory, "above", "");
    top.info(directory).opaque = true;
    top.info(top.root()).opaque = true;
    bottom.file(bottom.root(), "other", "");
    const auto view = stack.view();
    CHECK(shown(*view) == Shown{{"d", "directory 1"}, {"d/above", "file 1"}, {"other", "file 0"}});
    CHECK_FALSE(view->stat(find(*view, "d").node)->opaque);
  }

  TEST_CASE("whiteouts are not shown, in whichever layer; other devices and marked files with content are") {
    Stack stack;
    MemoryTree& bottom = stack.add();
    bottom.file(bottom.root(), "gone", "");
    bottom.file(bottom.root(), "gone by mark", "");
    bottom.whiteout(bottom.root(), "whiteout of nothing");
    bottom.device(bottom.root(), "null", 1, 3);
    MemoryTree& top = stack.add();
    top.whiteout(top.root(), "gone");
    top.info(top.file(top.root(), "gone by mark", "")).whiteout_mark = true;
    top.info(top.file(top.root(), "marked", "content")).whiteout_mark = true;
    const auto view = stack.view();
    CHECK(shown(*view) == Shown{{"marked", "file 1"}, {"null", "character device 0"}});
    CHECK_FALSE(view->lookup(view->root(), "gone")->has_value());
  }

  TEST_CASE("one layer alone is shown as it is, unless an overlay is asked for") {
    Stack stack;
    MemoryTree& only = stack.add();
    only.whiteout(only.root(), "whiteout");
    only.info(only.directory(only.root(), "d")).opaque = true;
    CHECK_FALSE(stack.view()->is_overlay());
    CHECK(shown(*stack.view()) == Shown{{"d", "directory 0"}, {"whiteout", "character device 0"}});
    CHECK(stack.view(OneLayer::overlay)->is_overlay());
    CHECK(shown(*stack.view(OneLayer::overlay)) == Shown{{"d", "directory 0"}});
  }

  TEST_CASE("names of one file share a node, files of two layers do not") {
    Stack stack;
    MemoryTree& bottom = stack.add();
    const auto file = bottom.file(bottom.root(), "a", "");
    bottom.name(bottom.root(), "b", file);
    MemoryTree& top = stack.add();
    top.file(top.root(), "c", "");
    const auto view = stack.view();
    CHECK(find(*view, "a").node == find(*view, "b").node);
    CHECK(find(*view, "a").node != find(*view, "c").node);
  }

  TEST_CASE("redirect and metacopy marks are refused where they would count") {
    Stack stack;
    MemoryTree& bottom = stack.add();
    bottom.info(bottom.directory(bottom.root(), "d")).redirected = true;
    const auto bare = stack.view();
    CHECK(bare->stat(find(*bare, "d").node).has_value());
    MemoryTree& top = stack.add();
    top.directory(top.root(), "d");
    top.info(top.file(top.root(), "f", "x")).redirected = true;
    const auto view = stack.view();
    const auto directory = find(*view, "d").node;
    CHECK(view->list(directory).error().kind == base::ErrorKind::unsupported);
    CHECK(view->lookup(directory, "x").error().kind == base::ErrorKind::unsupported);
    CHECK(view->stat(directory).error().kind == base::ErrorKind::unsupported);
    CHECK(view->open(find(*view, "f").node).error().what ==
          "layer 'layer 1' has a node with an overlayfs redirect or metacopy mark, which kernels treat "
          "differently");
  }

  TEST_CASE("a stack needs a layer") {
    CHECK(MergedView::make({}).error().kind == base::ErrorKind::usage);
  }

  TEST_CASE("a directory that contains itself is noticed, not followed") {
    Stack stack;
    stack.add();
    MemoryTree& top = stack.add();
    const auto directory = top.directory(top.root(), "d");
    top.name(directory, "again", directory);
    const auto view = stack.view();
    const auto done =
        image::walk(*view, [](const image::WalkEntry&) -> image::Result<> { return image::Result<>{}; });
    CHECK(done.error().kind == base::ErrorKind::corrupt);
  }

  TEST_CASE("several threads get the same nodes") {
    Stack stack;
    for (int layer = 0; layer < 3; ++layer) {
      MemoryTree& tree = stack.add();
      for (int i = 0; i < 50; ++i) tree.file(tree.directory(tree.root(), "d" + std::to_string(i)), "f", "x");
    }
    const auto view = stack.view();
    std::vector<std::vector<image::NodeId>> seen(4);
    std::vector<std::thread> threads;
    for (auto& nodes : seen)
      threads.emplace_back([&] {
        (void)image::walk(*view, [&](const image::WalkEntry& entry) -> image::Result<> {
          nodes.push_back(entry.node);
          return {};
        });
      });
    for (auto& thread : threads) thread.join();
    CHECK(seen[0].size() == 100);
    for (const auto& nodes : seen) CHECK(nodes == seen[0]);
  }
}
