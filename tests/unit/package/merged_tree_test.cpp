#include "package/merged_tree.hpp"

#include <doctest/doctest.h>

#include <string>

using orch::hash::EntryType;
using orch::package::ArchiveEntry;
using orch::package::Blob;
using orch::package::entry_place;
using orch::package::EntryKind;
using orch::package::LayerClass;
using orch::package::MergedTree;
using orch::package::TreeRules;

namespace {

ArchiveEntry entry(std::string path, EntryKind kind, std::string target = {}, std::uint32_t mode = 0755) {
  ArchiveEntry made;
  made.path = std::move(path);
  made.kind = kind;
  made.mode = mode;
  made.target = std::move(target);
  return made;
}

// A tree of two packages, and what adding said.
struct Made {
  MergedTree tree;
  std::string error;
  std::size_t blobs = 0;

  explicit Made(TreeRules rules = {}) : tree(std::move(rules), {"one", "two"}) {}

  Made& add(std::size_t package, const ArchiveEntry& item, std::string_view content = "x") {
    Blob blob{blobs++, content.size(), orch::hash::digest_of(content)};
    const auto added = tree.add(package, item, blob);
    if (!added && error.empty()) error = added.error().what;
    return *this;
  }
  Made& file(std::size_t package, std::string path, std::string_view content = "x") {
    return add(package, entry(std::move(path), EntryKind::file), content);
  }
  const MergedTree::Node* node(const std::string& path) const {
    const auto found = tree.nodes().find(path);
    return found == tree.nodes().end() ? nullptr : &found->second;
  }
};

TreeRules base_rules() {
  TreeRules rules;
  rules.layer_class = LayerClass::base;
  return rules;
}

}  // namespace

TEST_SUITE("package/merged_tree") {
  TEST_CASE("names are brought into merged-/usr form") {
    CHECK(entry_place("./bin/sh").value() == "usr/bin/sh");
    CHECK(entry_place("./lib64/ld.so").value() == "usr/lib64/ld.so");
    CHECK(entry_place("libx32").value() == "usr/libx32");
    CHECK(entry_place("usr//lib/./x/").value() == "usr/lib/x");
    CHECK(entry_place("library/x").value() == "library/x");
    CHECK(entry_place("./").value().empty());
  }

  TEST_CASE("names that would leave the tree are refused") {
    CHECK_FALSE(entry_place("/etc/passwd").has_value());
    CHECK_FALSE(entry_place("usr/../../x").has_value());
    CHECK_FALSE(entry_place("..").has_value());
    CHECK_FALSE(entry_place(std::string(256, 'a')).has_value());
    CHECK(entry_place("..x/...").has_value());
  }

  TEST_CASE("a base has the merged-/usr links, whatever its packages say") {
    Made made(base_rules());
    made.add(0, entry("./bin", EntryKind::directory)).file(0, "./bin/sh");
    made.add(1, entry("./lib64", EntryKind::symlink, "usr/lib64"));
    CHECK(made.error.empty());
    CHECK(made.node("bin")->target == "usr/bin");
    CHECK(made.node("lib64")->target == "usr/lib64");
    CHECK(made.node("usr/lib64")->type == EntryType::directory);
    CHECK(made.node("usr/bin/sh")->type == EntryType::file);
    CHECK(made.node("bin/sh") == nullptr);
    CHECK(made.node("tmp")->mode == 01777);
  }

  TEST_CASE("a directory over a symlink keeps the link, and what is below lands where it points") {
    Made made;
    made.add(0, entry("usr/share/a", EntryKind::symlink, "../lib/b"));
    made.add(1, entry("usr/share/a", EntryKind::directory)).file(1, "usr/share/a/c");
    CHECK(made.error.empty());
    CHECK(made.node("usr/share/a")->type == EntryType::symlink);
    CHECK(made.node("usr/lib/b/c")->type == EntryType::file);
  }

  TEST_CASE("links are resolved inside the tree: absolute ones and those that climb start at its root") {
    Made made;
    made.add(0, entry("usr/out", EntryKind::symlink, "/etc"))
        .add(0, entry("usr/up", EntryKind::symlink, "../../../../x"));
    made.file(0, "usr/out/passwd").file(0, "usr/up/y");
    CHECK(made.error.empty());
    CHECK(made.node("etc/passwd") != nullptr);
    CHECK(made.node("x/y") != nullptr);
  }

  TEST_CASE("links that lead in a circle are an error") {
    Made made;
    made.add(0, entry("usr/a", EntryKind::symlink, "b")).add(0, entry("usr/b", EntryKind::symlink, "a"));
    made.file(0, "usr/a/x");
    CHECK(made.error == "package 'one' has entries below 'usr/a', a symbolic link that leads in a circle");
  }

  TEST_CASE("of two packages with the same file the later wins, with a note") {
    Made made;
    made.file(0, "usr/x", "first").file(1, "usr/x", "second");
    CHECK(made.node("usr/x")->package == 1);
    REQUIRE(made.tree.notes().size() == 1);
    CHECK(made.tree.notes()[0].text == "replaces the one of package 'one'");
    Made same;
    same.file(0, "usr/x", "equal").file(1, "usr/x", "equal");
    CHECK(same.tree.notes().empty());
  }

  TEST_CASE("files and directories never replace each other") {
    Made made;
    made.file(0, "usr/x").add(1, entry("usr/x", EntryKind::directory));
    CHECK(made.error == "package 'two' has the directory 'usr/x', which is a file of package 'one'");
    Made other;
    other.file(0, "usr/x/y").file(1, "usr/x");
    CHECK(other.error ==
          "package 'two' has the file 'usr/x', which is a directory of the tree's own skeleton");
    Made below;
    below.file(0, "usr/x").file(1, "usr/x/y");
    CHECK(below.error == "package 'two' has entries below 'usr/x', which is a file of package 'one'");
  }

  TEST_CASE("a hard link needs a file of the same package") {
    Made made;
    made.file(0, "usr/a").add(0, entry("lib/b", EntryKind::hard_link, "usr/a"));
    CHECK(made.error.empty());
    CHECK(made.node("usr/lib/b")->blob.number == made.node("usr/a")->blob.number);
    made.add(1, entry("usr/c", EntryKind::hard_link, "usr/a"));
    CHECK(made.error ==
          "package 'two' has the hard link 'usr/c' to 'usr/a', which is no file that it has unpacked before");
    Made outside;
    outside.add(0, entry("usr/c", EntryKind::hard_link, "../../etc/shadow"));
    CHECK_FALSE(outside.error.empty());
  }

  TEST_CASE("set-uid bits and devices are left out and reported") {
    Made made;
    made.add(0, entry("usr/lib/su", EntryKind::file, {}, 04755)).add(0, entry("dev/null", EntryKind::other));
    CHECK(made.node("usr/lib/su")->mode == 0755);
    REQUIRE(made.tree.notes().size() == 1);
    CHECK(made.tree.notes()[0].path == "usr/lib/su");
    REQUIRE(made.tree.skipped().size() == 1);
    CHECK(made.tree.skipped()[0].path == "dev/null");
  }

  TEST_CASE("unreadable modes become readable for who builds") {
    Made made;
    made.add(0, entry("usr/d", EntryKind::directory, {}, 02055))
        .add(0, entry("usr/d/f", EntryKind::file, {}, 0040));
    CHECK(made.node("usr/d")->mode == 0755);
    CHECK(made.node("usr/d/f")->mode == 0440);
  }

  TEST_CASE("a deps overlay carries no executables, and says so") {
    Made made;
    made.file(0, "bin/tool").file(0, "usr/lib/libx.so");
    CHECK(made.node("usr/bin/tool") == nullptr);
    CHECK(made.node("usr/bin") == nullptr);
    CHECK(made.tree.skipped().at(0).reason == "a deps overlay carries no executables");
    made.add(0, entry("usr/lib/tool", EntryKind::hard_link, "bin/tool"));
    CHECK(made.error.empty());
    CHECK(made.tree.skipped().at(1).reason == "a hard link to 'usr/bin/tool', which was left out");
  }

  TEST_CASE("executables that the profile allows stay in a deps overlay") {
    TreeRules rules;
    rules.overrides = {"executable-directory:usr/bin/gst-*"};
    Made made(rules);
    made.file(0, "bin/gst-inspect").file(0, "bin/other");
    CHECK(made.node("usr/bin/gst-inspect") != nullptr);
    CHECK(made.node("usr/bin/other") == nullptr);
  }

  TEST_CASE("what is never unpacked is known all the same") {
    Made made;
    ArchiveEntry null = entry("dev/null", EntryKind::other);
    null.special = orch::image::NodeType::char_device;
    null.device_major = 1;
    null.device_minor = 3;
    ArchiveEntry opaque = entry("usr/lib/x", EntryKind::directory);
    opaque.marks.opaque = true;
    made.add(0, null).add(0, entry("usr/lib/x", EntryKind::directory)).add(1, opaque);
    made.add(0, entry("usr/lib/su", EntryKind::file, {}, 06755));
    REQUIRE(made.tree.specials().size() == 1);
    CHECK(made.tree.specials()[0].path == "dev/null");
    CHECK(made.tree.specials()[0].device_minor == 3);
    CHECK(made.node("usr/lib/x")->marks.opaque);
    CHECK(made.node("usr/lib/x")->package == 1);
    CHECK(made.node("usr/lib/su")->set_id == 06000);
    CHECK(made.node("usr/lib/su")->mode == 0755);
  }

  TEST_CASE("documentation goes, copyright files stay") {
    Made made;
    made.file(0, "usr/share/doc/x/changelog.gz")
        .file(0, "usr/share/doc/x/copyright")
        .file(0, "usr/share/man/man1/x.1");
    CHECK(made.node("usr/share/doc/x/copyright") != nullptr);
    CHECK(made.node("usr/share/doc/x/changelog.gz") == nullptr);
    CHECK(made.node("usr/share/man") == nullptr);
    TreeRules rules;
    rules.documentation = true;
    CHECK(Made(rules).file(0, "usr/share/doc/x/changelog.gz").node("usr/share/doc/x/changelog.gz") !=
          nullptr);
  }

  TEST_CASE("with paths, only what lies below one of them is taken") {
    TreeRules rules;
    rules.paths = {"usr/lib/x"};
    Made made(rules);
    made.file(0, "usr/lib/x/a").file(0, "usr/lib/xy").file(0, "lib/x");
    CHECK(made.node("usr/lib/x/a") != nullptr);
    CHECK(made.node("usr/lib/xy") == nullptr);
    CHECK(made.tree.skipped().at(0).reason == "outside of the layer's paths");
  }
}
