#include "package/layer_check.hpp"

#include "support/deb_writer.hpp"
#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace package = orch::package;
using orch::image::Finding;
using orch::test::deb_bytes;
using orch::test::DebEntry;
using orch::test::TempDir;

namespace {

// The findings about a layer of one package "poison" with these entries.
std::vector<Finding> findings(const std::vector<DebEntry>& entries, std::set<std::string> allow = {},
                              package::LayerClass layer_class = package::LayerClass::deps) {
  const TempDir dir;
  const std::string bytes = deb_bytes(entries, "");
  package::UnpackOrder order;
  order.packages.resize(1);
  order.packages[0].name = "poison";
  order.packages[0].version = "1";
  order.packages[0].architecture = "amd64";
  order.packages[0].sha256 = orch::hash::sha256_of(bytes);
  order.archives = dir / "archives";
  order.scratch = dir / "scratch";
  order.rules.layer_class = layer_class;
  order.rules.overrides = std::move(allow);
  dir.write("archives/" + archive_file_name(order.packages[0]), bytes);
  const auto layer = package::plan_layer(order);
  if (!layer) FAIL(orch::base::render(layer.error()));
  package::LayerCheckOrder check{
      "deps-x",
      [](const orch::image::FileTree& tree,
         const orch::image::WalkEntry& file) -> orch::base::Result<std::optional<orch::image::ElfIdentity>> {
        ORCH_TRY(const auto data, tree.open(file.node));
        ORCH_TRY(const std::string text, read_exact(*data, 0, data->size()));
        if (text != "arm") return std::optional<orch::image::ElfIdentity>();
        return std::optional(orch::image::ElfIdentity{183, "libx.so"});
      }};
  auto found = package::check_packages(order, *layer, check);
  if (!found) FAIL(orch::base::render(found.error()));
  return *std::move(found);
}

std::string rules_of(const std::vector<Finding>& list) {
  std::string out;
  for (const Finding& finding : list)
    out += finding.rule + ":" + finding.path + (finding.overridden ? "+" : "") + " ";
  return out;
}

}  // namespace

TEST_SUITE("package/layer_check") {
  TEST_CASE("what never reaches the disk is found in the plan") {
    CHECK(rules_of(findings({{"dev/null", 'c', 0666, ""}})) == "whiteout:dev/null ");
    CHECK(rules_of(findings({{"usr/lib/su", 'f', 04755, "x"}})) == "set-id:usr/lib/su ");
    CHECK(rules_of(findings({{"usr/lib/su", 'f', 04755, "x"}}, {"set-id:usr/lib/su"})) ==
          "set-id:usr/lib/su+ ");
    CHECK(rules_of(findings({{"usr/lib/su", 'f', 04755, "x"}}, {}, package::LayerClass::base)).empty());
  }

  TEST_CASE("links inside the package may not lead around the merged form or into directories of programs") {
    const std::vector<DebEntry> around = {{"usr/x", 'l', 0777, ".."},
                                          {"usr/x/lib64/libfoo.so", 'f', 0644, "x"},
                                          {"usr/y", 'l', 0777, "bin"},
                                          {"usr/y/tool", 'f', 0755, "x"}};
    CHECK(rules_of(findings(around)) == "unmerged-usr:lib64 executable-directory:usr/bin/tool ");
  }

  TEST_CASE("ELF files are read out of the unpacked package, and the finding names it") {
    const auto found = findings({{"usr/lib/libx.so", 'f', 0644, "arm"}});
    REQUIRE(found.size() == 1);
    CHECK(found[0].package == "poison");
    CHECK(found[0].sentence ==
          "'usr/lib/libx.so' (package 'poison') in layer 'deps-x' is an ELF file for aarch64, expected "
          "x86_64: the "
          "emulated loader skips it or the program dies");
    const auto exempt = findings({{"usr/lib/bpf/x.o", 'f', 0644, "arm"}});
    REQUIRE(exempt.size() == 1);
    const orch::base::Value record = package::findings_value(exempt).as_array().at(0);
    CHECK(record.string_or("rule", "") == "exempt-machine");
    CHECK(record.string_or("severity", "") == "noted");
    CHECK(record.string_or("detail", "") == "is an ELF file for aarch64, expected x86_64");
  }

  TEST_CASE("the plan is a tree like any other") {
    const TempDir dir;
    package::MergedTree plan({}, {"one"});
    const auto add = [&](const char* path, package::EntryKind kind, const char* target = "") {
      package::ArchiveEntry entry;
      entry.path = path;
      entry.kind = kind;
      entry.mode = 0755;
      entry.target = target;
      entry.special = orch::image::NodeType::char_device;
      REQUIRE(plan.add(0, entry, {7, 3, {}}).has_value());
    };
    add("usr/b", package::EntryKind::file);
    add("usr/a", package::EntryKind::hard_link, "usr/b");
    add("usr/l", package::EntryKind::symlink, "b");
    add("usr/b", package::EntryKind::other);
    add("usr/B", package::EntryKind::other);
    dir.write("0-7", "abc");
    const package::PlannedTree tree(plan, [&](std::size_t package, std::size_t blob) {
      return dir / (std::to_string(package) + "-" + std::to_string(blob));
    });
    std::string names;
    REQUIRE(walk(tree, [&](const orch::image::WalkEntry& entry) -> orch::base::Result<> {
              names += entry.path + " ";
              return {};
            }).has_value());
    CHECK(names == "usr usr/B usr/a usr/b usr/l ");
    const auto a = resolve(tree, "usr/a").value();
    CHECK(tree.stat(a.node)->links == 2);
    CHECK(a.node == resolve(tree, "usr/l").value().node);
    CHECK(read_exact(*tree.open(a.node).value(), 0, 3).value() == "abc");
    CHECK_FALSE(tree.open(resolve(tree, "usr").value().node).has_value());
    CHECK_FALSE(tree.readlink(a.node).has_value());
    CHECK_FALSE(tree.stat(orch::image::NodeId{99}).has_value());
  }
}
