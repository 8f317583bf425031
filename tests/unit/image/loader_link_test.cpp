// Where the dynamic loader's path leads, and which links mend it.
#include "image/loader_link.hpp"

#include "image/memory_tree.hpp"
#include "image/merged_view.hpp"
#include "support/elf_writer.hpp"

#include <doctest/doctest.h>

#include <map>
#include <memory>

TEST_SUITE_BEGIN("image/loader_link");

namespace {

using orch::image::FexPath;
using orch::image::LoaderLink;
using orch::image::LoaderObservation;
using orch::image::NodeId;
using orch::test::MemoryTree;
using Decision = LoaderObservation::Decision;

std::string elf(std::uint16_t machine) {
  orch::test::ElfSpec spec;
  spec.machine = machine;
  std::string bytes = orch::test::ElfWriter(spec).bytes();
  if (machine == 3) bytes[4] = 1;  // ELFCLASS32
  return bytes;
}

// A tree from paths: a text is a file, "-> x" a link, "/" at the end of the path a directory.
std::shared_ptr<MemoryTree> tree_of(const std::map<std::string, std::string>& content) {
  auto tree = std::make_shared<MemoryTree>();
  std::map<std::string, NodeId> directories{{"", tree->root()}};
  for (const auto& [path, text] : content) {
    NodeId parent = tree->root();
    std::size_t start = 0;
    for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', start)) {
      const std::string folder = path.substr(0, slash);
      if (!directories.contains(folder))
        directories[folder] = tree->directory(parent, path.substr(start, slash - start));
      parent = directories[folder];
      start = slash + 1;
    }
    const std::string name = path.substr(start);
    if (name.empty()) continue;
    if (text.starts_with("-> "))
      tree->link(parent, name, text.substr(3));
    else
      tree->file(parent, name, text);
  }
  return tree;
}

const std::string k_loader = "ld-linux-x86-64.so.2";

LoaderObservation observe(const std::map<std::string, std::string>& content, std::size_t which = 0) {
  const auto tree = tree_of(content);
  const auto seen = orch::image::observe_loaders(*tree);
  REQUIRE(seen.has_value());
  REQUIRE(seen->size() == 2);
  const LoaderObservation& one = (*seen)[which];
  if (one.decision != Decision::linked) CHECK(one.links.empty());
  if (one.decision == Decision::linked) {
    // The links, laid over the tree, are what is needed, and none hides a directory.
    std::map<std::string, std::string> layer;
    for (const LoaderLink& link : one.links) {
      layer[link.path] = "-> " + link.target;
      const auto below =
          orch::image::resolve(*tree, link.path, orch::image::Links::in_root, orch::image::LastLink::keep);
      REQUIRE(below.has_value());
      if (below->outcome == orch::image::Resolution::Outcome::found)
        CHECK(below->type == orch::image::NodeType::symlink);
    }
    const auto view = orch::image::MergedView::make({{"below", tree}, {"compat", tree_of(layer)}});
    REQUIRE(view.has_value());
    const auto after = orch::image::observe_loaders(**view);
    REQUIRE(after.has_value());
    CHECK((*after)[which].decision == Decision::resolves);
  }
  return one;
}

std::vector<LoaderLink> links(const std::map<std::string, std::string>& content, std::size_t which = 0) {
  return observe(content, which).links;
}

}  // namespace

TEST_CASE("a path that leads to the loader needs nothing") {
  const LoaderObservation fedora = observe({{"lib64", "-> usr/lib64"}, {"usr/lib64/" + k_loader, elf(62)}});
  CHECK(fedora.decision == Decision::resolves);
  CHECK(fedora.reason == "it leads to 'usr/lib64/ld-linux-x86-64.so.2'");
  // Debian's own link is absolute, and the last component: FEX looks it up in the RootFS again.
  const LoaderObservation debian = observe({{"lib64", "-> usr/lib64"},
                                            {"lib", "-> usr/lib"},
                                            {"usr/lib64/" + k_loader, "-> /lib/x86_64-linux-gnu/" + k_loader},
                                            {"usr/lib/x86_64-linux-gnu/" + k_loader, elf(62)}});
  CHECK(debian.decision == Decision::resolves);
  CHECK(debian.links.empty());
}

TEST_CASE("without the top directory it becomes a link to where the loader is") {
  const LoaderObservation seen = observe({{"usr/lib64/" + k_loader, elf(62)}});
  CHECK(seen.found.outcome == FexPath::Outcome::missing);
  CHECK(seen.links == std::vector<LoaderLink>{{"lib64", "usr/lib64"}});
  CHECK(seen.reason == "'lib64' is absent, and the loader is 'usr/lib64/ld-linux-x86-64.so.2'");
  CHECK(links({{"usr/lib/x86_64-linux-gnu/" + k_loader, elf(62)}}) ==
        std::vector<LoaderLink>{{"lib64", "usr/lib/x86_64-linux-gnu"}});
}

TEST_CASE("an absolute link leads FEX to the host, so a relative one takes its place") {
  const LoaderObservation seen = observe({{"lib64", "-> /usr/lib64"}, {"usr/lib64/" + k_loader, elf(62)}});
  CHECK(seen.found.outcome == FexPath::Outcome::escapes);
  CHECK(seen.links == std::vector<LoaderLink>{{"lib64", "usr/lib64"}});
  CHECK(seen.reason ==
        "'lib64' is a link that FEX does not follow there, and the loader is "
        "'usr/lib64/ld-linux-x86-64.so.2'");
  CHECK(links({{"lib64", "-> nowhere"}, {"usr/lib64/" + k_loader, elf(62)}}) ==
        std::vector<LoaderLink>{{"lib64", "usr/lib64"}});
  // What the old link meant stays reachable.
  CHECK(links({{"lib64", "-> /usr/lib64"},
               {"usr/lib64/libx.so.1", "x"},
               {"usr/lib/x86_64-linux-gnu/" + k_loader, elf(62)}}) ==
        std::vector<LoaderLink>{{"lib64", "usr/lib64"},
                                {"usr/lib64/" + k_loader, "../lib/x86_64-linux-gnu/" + k_loader}});
}

TEST_CASE("a real directory is never hidden: the loader's link goes into it") {
  CHECK(links({{"lib64/libdrm.so.2", "x"}, {"usr/lib64/" + k_loader, elf(62)}}) ==
        std::vector<LoaderLink>{{"lib64/" + k_loader, "../usr/lib64/" + k_loader}});
  CHECK(links({{"lib64/", ""}, {"usr/lib64/" + k_loader, elf(62)}}) ==
        std::vector<LoaderLink>{{"lib64/" + k_loader, "../usr/lib64/" + k_loader}});
  CHECK(links({{"lib64", "-> usr/lib64"},
               {"usr/lib64/libx.so.1", "x"},
               {"usr/lib/x86_64-linux-gnu/" + k_loader, elf(62)}}) ==
        std::vector<LoaderLink>{{"usr/lib64/" + k_loader, "../lib/x86_64-linux-gnu/" + k_loader}});
  // A link of the loader's name that leads nowhere is replaced.
  CHECK(links({{"lib64/" + k_loader, "-> nowhere"}, {"usr/lib64/" + k_loader, elf(62)}}) ==
        std::vector<LoaderLink>{{"lib64/" + k_loader, "../usr/lib64/" + k_loader}});
}

TEST_CASE("what cannot be mended by a link is only said") {
  const LoaderObservation none = observe({{"usr/lib64/libc.so.6", elf(62)}});
  CHECK(none.decision == Decision::no_loader);
  CHECK(none.reason == "no directory of the view has a 'ld-linux-x86-64.so.2' for x86_64");
  const LoaderObservation file = observe({{"lib64", "text"}, {"usr/lib64/" + k_loader, elf(62)}});
  CHECK(file.decision == Decision::blocked);
  CHECK(file.reason == "'lib64' is a file, expected a directory or a link to one");
  const LoaderObservation folder =
      observe({{"lib64/" + k_loader + "/", ""}, {"usr/lib64/" + k_loader, elf(62)}});
  CHECK(folder.decision == Decision::blocked);
  CHECK(folder.reason == "'lib64/ld-linux-x86-64.so.2' is a directory");
  const LoaderObservation foreign =
      observe({{"lib64/" + k_loader, elf(183)}, {"usr/lib64/" + k_loader, elf(62)}});
  CHECK(foreign.decision == Decision::other_machine);
  CHECK(foreign.reason == "it leads to 'lib64/ld-linux-x86-64.so.2', which is for aarch64 and not replaced");
}

TEST_CASE("a loader for another machine is none to link to") {
  CHECK(observe({{"usr/lib64/" + k_loader, elf(183)}}).decision == Decision::no_loader);
  CHECK(links({{"usr/lib64/" + k_loader, elf(183)}, {"usr/lib/x86_64-linux-gnu/" + k_loader, elf(62)}}) ==
        std::vector<LoaderLink>{{"lib64", "usr/lib/x86_64-linux-gnu"}});
}

TEST_CASE("the i386 loader is looked for in the same way") {
  CHECK(observe({{"usr/lib64/" + k_loader, elf(62)}}, 1).decision == Decision::no_loader);
  CHECK(links({{"usr/lib/ld-linux.so.2", elf(3)}}, 1) == std::vector<LoaderLink>{{"lib", "usr/lib"}});
  CHECK(links({{"lib", "-> usr/lib"}, {"usr/lib/x", "x"}, {"usr/lib32/ld-linux.so.2", elf(3)}}, 1) ==
        std::vector<LoaderLink>{{"usr/lib/ld-linux.so.2", "../lib32/ld-linux.so.2"}});
}

TEST_CASE("targets are relative to the link's directory") {
  CHECK(orch::image::relative_target("lib64", "usr/lib64") == "usr/lib64");
  CHECK(orch::image::relative_target("lib64/ld", "usr/lib64/ld") == "../usr/lib64/ld");
  CHECK(orch::image::relative_target("usr/lib64/ld", "usr/lib/a/ld") == "../lib/a/ld");
  CHECK(orch::image::relative_target("usr/lib/ld", "usr/lib/a") == "a");
}

TEST_SUITE_END();
