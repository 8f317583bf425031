#include "image/conflicts.hpp"

#include "hash/digest.hpp"
#include "image/memory_tree.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace orch;
using image::FactKind;
using image::Layer;
using image::LayerFact;
using image::NodeType;
using test::MemoryTree;

namespace {

std::vector<LayerFact> compare(const std::vector<MemoryTree>& below, const MemoryTree& top) {
  std::vector<Layer> layers;
  for (const MemoryTree& tree : below)
    layers.push_back({"layer " + std::to_string(layers.size()), std::make_shared<MemoryTree>(tree)});
  auto facts = image::compare_layers(layers, {"top", std::make_shared<MemoryTree>(top)});
  if (!facts) FAIL(base::render(facts.error()));
  return std::move(*facts);
}

// "path: name (layer below)" of each fact.
std::vector<std::string> names(const std::vector<LayerFact>& facts) {
  std::vector<std::string> out;
  for (const LayerFact& fact : facts)
    out.push_back(fact.path + ": " + name_of(fact) +
                  (fact.layer_below ? " (" + std::to_string(*fact.layer_below) + ")" : ""));
  return out;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_SUITE("image/conflicts") {
  TEST_CASE("paths that exist below are compared by content and come with the layer they are from") {
    MemoryTree base;
    const auto usr = base.directory(base.root(), "usr");
    base.file(usr, "same", "equal");
    base.file(usr, "other", "below");
    base.file(usr, "longer", "below");
    base.link(usr, "link", "a");
    base.link(usr, "moved", "a");
    base.file(usr, "only below", "");
    MemoryTree middle;
    middle.file(middle.directory(middle.root(), "usr"), "other", "middle");
    MemoryTree top;
    const auto over = top.directory(top.root(), "usr");
    top.file(over, "same", "equal");
    top.file(over, "other", "above!");
    top.file(over, "longer", "above, longer");
    top.link(over, "link", "a");
    top.link(over, "moved", "b");
    top.file(over, "only above", "");
    const auto facts = compare({base, middle}, top);
    CHECK(names(facts) == Names{"usr/link: same content (0)", "usr/longer: different content (0)",
                                "usr/moved: different content (0)", "usr/other: different content (1)",
                                "usr/same: same content (0)"});
    CHECK(facts[2].above == "symlink to 'b'");
    CHECK(facts[2].below == "symlink to 'a'");
    CHECK(facts[4].above == "file of 5 bytes, sha256 " + hash::sha256_of("equal").hex());
    CHECK(facts[4].below == facts[4].above);
    CHECK(facts[3].below == "file of 6 bytes, sha256 " + hash::sha256_of("middle").hex());
  }

  TEST_CASE("every pair of types is a conflict by its name, and nothing below it is one of its own") {
    MemoryTree base;
    base.file(base.directory(base.root(), "directory"), "inner", "");
    base.file(base.root(), "file", "");
    base.link(base.root(), "link", "directory");
    base.device(base.root(), "device", 1, 3);
    MemoryTree top;
    top.link(top.root(), "directory", "x");
    top.file(top.directory(top.root(), "file"), "inner", "");
    top.file(top.directory(top.root(), "link"), "inner", "");
    top.file(top.root(), "device", "");
    CHECK(names(compare({base}, top)) ==
          Names{"device: file over character device (0)", "directory: symlink over directory (0)",
                "file: directory over file (0)", "link: directory over symlink (0)"});
  }

  TEST_CASE("what lower layers hide from one another is not below") {
    MemoryTree base;
    base.file(base.root(), "f", "");
    base.file(base.directory(base.root(), "d"), "f", "");
    MemoryTree middle;
    middle.whiteout(middle.root(), "f");
    middle.link(middle.root(), "d", "elsewhere");
    MemoryTree top;
    top.file(top.root(), "f", "");
    top.link(top.root(), "d", "elsewhere");
    CHECK(names(compare({base, middle}, top)) == Names{"d: same content (1)"});
    CHECK(names(compare({middle}, top)) == Names{"d: same content (0)"});
  }

  TEST_CASE("a united directory that changes mode or owner is told, one that does not is not") {
    MemoryTree base;
    base.directory(base.root(), "same");
    base.directory(base.root(), "mode");
    base.directory(base.root(), "owner");
    MemoryTree top;
    top.directory(top.root(), "same");
    top.info(top.directory(top.root(), "mode")).mode = 0700;
    top.info(top.directory(top.root(), "owner")).gid = 5;
    const auto facts = compare({base}, top);
    CHECK(names(facts) == Names{"mode: directory attributes (0)", "owner: directory attributes (0)"});
    CHECK(facts[0].above == "directory, mode 0700, owner 0:0");
    CHECK(facts[0].below == "directory, mode 0755, owner 0:0");
  }

  TEST_CASE("marks, devices, set-id bits and what whiteouts hide") {
    MemoryTree base;
    base.directory(base.root(), "removed");
    base.directory(base.root(), "opaque");
    MemoryTree top;
    top.whiteout(top.root(), "removed");
    top.whiteout(top.root(), "nothing there");
    top.info(top.file(top.root(), "marked", "")).whiteout_mark = true;
    top.info(top.directory(top.root(), "opaque")).opaque = true;
    top.info(top.directory(top.root(), "moved")).redirected = true;
    top.device(top.root(), "null", 1, 3);
    top.file(top.root(), "suid", "x", 04755);
    top.file(top.root(), "sgid", "x", 02755);
    top.file(top.root(), "sticky", "x", 01755);
    const auto facts = compare({base}, top);
    CHECK(names(facts) == Names{"marked: whiteout", "moved: redirect mark", "nothing there: whiteout",
                                "null: device node", "opaque: opaque directory (0)", "removed: whiteout (0)",
                                "sgid: set-id bits", "suid: set-id bits"});
    CHECK(facts[5].below == "directory, mode 0755, owner 0:0");
    CHECK(facts[7].above == "file of 1 bytes, mode 4755");
  }

  TEST_CASE("an absolute link counts where it leads to a directory of the whole stack") {
    MemoryTree base;
    base.file(base.directory(base.directory(base.root(), "usr"), "lib"), "f", "");
    base.link(base.root(), "lib", "usr/lib");
    MemoryTree top;
    top.link(top.root(), "to directory", "/lib");
    top.link(top.root(), "to file", "/usr/lib/f");
    top.link(top.root(), "to nothing", "/nowhere");
    top.link(top.root(), "relative", "usr/lib");
    CHECK(names(compare({base}, top)) == Names{"to directory: absolute link to a directory"});
    CHECK(names(compare({}, top)).empty());
  }

  TEST_CASE("which facts change with the base") {
    CHECK(image::concerns_stack(FactKind::type_conflict));
    CHECK(image::concerns_stack(FactKind::absolute_directory_link));
    CHECK_FALSE(image::concerns_stack(FactKind::whiteout));
  }
}
