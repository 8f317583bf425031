#include "image/layer_rules.hpp"

#include "hash/digest.hpp"
#include "image/memory_tree.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace orch;
using image::Finding;
using image::Layer;
using image::LayerCheck;
using image::LayerClass;
using image::NodeType;
using image::Severity;
using test::MemoryTree;

namespace {

// A file in its directories: "usr/lib64/x".
image::NodeId put(MemoryTree& tree, const std::string& path, const std::string& text, unsigned mode = 0644) {
  image::NodeId at = tree.root();
  std::size_t start = 0;
  for (std::size_t slash; (slash = path.find('/', start)) != std::string::npos; start = slash + 1) {
    const std::string name = path.substr(start, slash - start);
    const auto known = tree.lookup(at, name);
    at = known->has_value() ? (*known)->node : tree.directory(at, name);
  }
  return tree.file(at, path.substr(start), text, mode);
}

// In these tests, an ELF file is "ELF MACHINE [SONAME]".
image::Result<std::optional<image::ElfIdentity>> read_elf(const image::FileTree& tree,
                                                          const image::WalkEntry& file) {
  ORCH_TRY(const auto data, tree.open(file.node));
  ORCH_TRY(const std::string text, image::read_exact(*data, 0, data->size()));
  if (!text.starts_with("ELF ")) return std::optional<image::ElfIdentity>();
  const std::size_t space = text.find(' ', 4);
  return image::ElfIdentity{static_cast<std::uint16_t>(std::stoi(text.substr(4))),
                            space == std::string::npos ? "" : text.substr(space + 1)};
}

LayerCheck check_of(const MemoryTree& tree, LayerClass layer_class = LayerClass::deps) {
  LayerCheck check;
  check.layer_class = layer_class;
  check.layer = {"webkit", std::make_shared<MemoryTree>(tree)};
  check.read_elf = read_elf;
  return check;
}

std::vector<Finding> alone(const LayerCheck& check) {
  auto found = image::check_layer(check);
  if (!found) FAIL(base::render(found.error()));
  return std::move(*found);
}

std::vector<Finding> stacked(const LayerCheck& check, const std::vector<MemoryTree>& below,
                             std::size_t base_layers = 1) {
  std::vector<Layer> layers;
  for (const MemoryTree& tree : below)
    layers.push_back({"layer " + std::to_string(layers.size()), std::make_shared<MemoryTree>(tree)});
  auto found = image::check_in_stack(check, layers, base_layers);
  if (!found) FAIL(base::render(found.error()));
  return std::move(*found);
}

std::vector<std::string> names(const std::vector<Finding>& findings) {
  std::vector<std::string> out;
  for (const Finding& finding : findings) out.push_back(finding.override_name);
  return out;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_SUITE("image/layer_rules") {
  TEST_CASE("a clean layer has no findings") {
    MemoryTree tree;
    put(tree, "usr/lib64/libx.so.1", "ELF 62 libx.so.1");
    put(tree, "usr/lib64/app/libc.so.6", "a name in a folder that no loader looks into");
    put(tree, "usr/share/doc/x", "text");
    CHECK(alone(check_of(tree)).empty());
  }

  TEST_CASE("A: ELF files for other machines are refused, exempt ones noted") {
    MemoryTree tree;
    put(tree, "usr/lib64/arm.so", "ELF 183");
    put(tree, "usr/lib/i386.so", "ELF 3");
    put(tree, "usr/lib/bpf/x.o", "ELF 247");
    put(tree, "usr/lib/bpf2/x.o", "ELF 247");
    LayerCheck check = check_of(tree);
    const auto findings = alone(check);
    CHECK(names(findings) == Names{"exempt-machine:usr/lib/bpf/x.o", "foreign-machine:usr/lib/bpf2/x.o",
                                   "foreign-machine:usr/lib/i386.so", "foreign-machine:usr/lib64/arm.so"});
    CHECK(findings[0].severity == Severity::noted);
    CHECK(findings[3].sentence ==
          "'usr/lib64/arm.so' in layer 'webkit' is an ELF file for aarch64, expected x86_64: the emulated "
          "loader skips it or the program dies");
    check.machines = {62, 3};
    CHECK(names(alone(check)) == Names{"exempt-machine:usr/lib/bpf/x.o", "foreign-machine:usr/lib/bpf2/x.o",
                                       "foreign-machine:usr/lib64/arm.so"});
  }

  TEST_CASE("B: names of the ABI boundary on every default library path") {
    for (const std::string path :
         {"usr/lib64/libc.so.6", "usr/lib/x86_64-linux-gnu/libstdc++.so.6", "usr/lib/libgcc_s.so.1",
          "usr/lib64/ld-linux-x86-64.so.2", "usr/lib64/libnss_files.so.2", "usr/lib64/libgomp.so.1",
          "usr/lib64/glibc-hwcaps/x86-64-v3/libm.so.6"}) {
      MemoryTree tree;
      put(tree, path, "x");
      CHECK(names(alone(check_of(tree))) == Names{"abi-library:" + path});
      CHECK(alone(check_of(tree, LayerClass::base_refresh)).empty());
      CHECK(alone(check_of(tree, LayerClass::base)).empty());
    }
    MemoryTree link;
    link.link(link.directory(link.directory(link.root(), "usr"), "lib64"), "libc.so.6", "nowhere");
    CHECK(names(alone(check_of(link))) == Names{"abi-library:usr/lib64/libc.so.6"});
  }

  TEST_CASE("B: sonames and packages of the ABI boundary, and the loader's configuration") {
    MemoryTree tree;
    put(tree, "usr/lib64/libstdc++.so.6.0.33", "ELF 62 libstdc++.so.6");
    put(tree, "usr/lib64/libc.so.6", "ELF 62 libc.so.6");
    put(tree, "etc/ld.so.preload", "x");
    put(tree, "etc/ld.so.conf.d/x.conf", "x");
    LayerCheck check = check_of(tree);
    check.packages = {"webkit2gtk4.0", "glibc-common", "libc6", "libgcc", "libgccjit", "libasan8", "glib2"};
    CHECK(names(alone(check)) == Names{"abi-package:glibc-common", "abi-package:libasan8",
                                       "abi-package:libc6", "abi-package:libgcc",
                                       "loader-config:etc/ld.so.preload", "abi-library:usr/lib64/libc.so.6",
                                       "abi-soname:usr/lib64/libstdc++.so.6.0.33"});
  }

  TEST_CASE("C: marks, devices, set-id bits and directories that a merged /usr does not have") {
    MemoryTree tree;
    tree.whiteout(tree.root(), "gone");
    tree.info(tree.directory(tree.root(), "opaque")).opaque = true;
    tree.info(tree.directory(tree.root(), "redirect")).redirected = true;
    tree.device(tree.root(), "null", 1, 3);
    put(tree, "suid", "x", 04755);
    put(tree, "lib64/libx.so", "x");
    tree.directory(tree.root(), "directory");
    tree.link(tree.root(), "link", "/directory");
    CHECK(names(alone(check_of(tree))) ==
          Names{"whiteout:gone", "unmerged-usr:lib64", "absolute-directory-link:link", "device-node:null",
                "opaque-directory:opaque", "redirect-mark:redirect", "set-id:suid"});
  }

  TEST_CASE(
      "C: overrides of the base are refused, those of other layers noted, the finish layer's caches "
      "allowed") {
    MemoryTree base;
    put(base, "usr/lib64/a", "base");
    put(base, "usr/lib64/b", "same");
    put(base, "usr/share/mime/mime.cache", "base");
    MemoryTree other;
    put(other, "usr/lib64/c", "other");
    MemoryTree tree;
    put(tree, "usr/lib64/a", "mine");
    put(tree, "usr/lib64/b", "same");
    put(tree, "usr/lib64/c", "mine");
    put(tree, "usr/share/mime/mime.cache", "mine");
    const auto findings = stacked(check_of(tree), {base, other});
    CHECK(names(findings) == Names{"base-override:usr/lib64/a", "base-duplicate:usr/lib64/b",
                                   "other-override:usr/lib64/c", "base-override:usr/share/mime/mime.cache"});
    CHECK(findings[0].sentence ==
          "'usr/lib64/a' in layer 'webkit' replaces the one of layer 'layer 0' (file of 4 "
          "bytes, sha256 " +
              hash::sha256_of("mine").hex() + ", below: file of 4 bytes, sha256 " +
              hash::sha256_of("base").hex() + "): overlays add to the base and replace nothing of it");
    CHECK(findings[2].severity == Severity::noted);
    LayerCheck generous = check_of(tree);
    generous.overrides = {"other-override", "base-override"};
    const auto allowed = stacked(generous, {base, other});
    CHECK(allowed[0].overridden);
    CHECK_FALSE(allowed[1].overridden);
    CHECK_FALSE(allowed[2].overridden);
    CHECK(names(stacked(check_of(tree, LayerClass::finish), {base, other})) ==
          Names{"base-override:usr/lib64/a", "base-duplicate:usr/lib64/b", "other-override:usr/lib64/c"});
    CHECK_FALSE(image::is_refused(stacked(check_of(tree, LayerClass::base_refresh), {base, other})));
  }

  TEST_CASE("C: a cache of the finish layer may stand over a link, and nothing else may") {
    MemoryTree base;
    base.link(base.directory(base.root(), "etc"), "ld.so.cache", "../var/ld.so.cache");
    base.link(base.lookup(base.root(), "etc")->value().node, "other", "x");
    MemoryTree tree;
    put(tree, "etc/ld.so.cache", "mine");
    put(tree, "etc/other", "mine");
    CHECK(names(stacked(check_of(tree, LayerClass::finish), {base})) == Names{"type-conflict:etc/other"});
    CHECK(names(stacked(check_of(tree), {base})) ==
          Names{"type-conflict:etc/ld.so.cache", "type-conflict:etc/other"});
  }

  TEST_CASE("C: the layer for the loader's path replaces links by links, and nothing else of the base") {
    MemoryTree base;
    base.link(base.root(), "lib64", "/usr/lib64");
    base.link(base.root(), "lib", "usr/lib");
    put(base, "usr/lib64/ld-linux-x86-64.so.2", "x");
    base.link(base.lookup(base.root(), "usr")->value().node, "share", "../share");
    MemoryTree tree;
    tree.link(tree.root(), "lib64", "usr/lib64");
    tree.link(tree.directory(tree.directory(tree.root(), "usr"), "lib64"), "ld-linux-x86-64.so.2", "x");
    const LayerCheck compat = check_of(tree, LayerClass::compat);
    CHECK(names(stacked(compat, {base})) ==
          Names{"other-override:lib64", "type-conflict:usr/lib64/ld-linux-x86-64.so.2"});
    CHECK(names(stacked(check_of(tree), {base})) ==
          Names{"base-override:lib64", "type-conflict:usr/lib64/ld-linux-x86-64.so.2"});
    MemoryTree more;
    more.link(more.directory(more.root(), "usr"), "share", "lib");
    CHECK(names(stacked(check_of(more, LayerClass::compat), {base})) == Names{"base-override:usr/share"});
  }

  TEST_CASE("C: a directory over a symlink is refused in every class of overlay") {
    MemoryTree base;
    base.directory(base.root(), "usr");
    base.link(base.root(), "lib64", "usr/lib64");
    MemoryTree tree;
    put(tree, "lib64/ld.so", "x");
    for (const LayerClass one :
         {LayerClass::deps, LayerClass::base_refresh, LayerClass::compat, LayerClass::finish}) {
      const auto findings = stacked(check_of(tree, one), {base});
      REQUIRE(names(findings) == Names{"type-conflict:lib64"});
      CHECK(
          findings[0].sentence ==
          "'lib64' in layer 'webkit' is a directory over a symlink of layer 'layer 0' (directory, mode 0755, "
          "owner 0:0, below: symlink to 'usr/lib64'): it hides everything that lies behind the lower one");
      CHECK(image::is_refused(findings));
    }
  }

  TEST_CASE("C: an absolute link to a directory of the base is found against the stack only") {
    MemoryTree base;
    base.directory(base.root(), "opt");
    MemoryTree tree;
    tree.link(tree.root(), "link", "/opt");
    tree.file(tree.root(), "suid", "", 04755);
    CHECK(names(alone(check_of(tree))) == Names{"set-id:suid"});
    CHECK(names(stacked(check_of(tree), {base})) == Names{"absolute-directory-link:link"});
  }

  TEST_CASE("D: executables are named one by one, an empty directory by itself") {
    MemoryTree tree;
    put(tree, "usr/bin/bash", "x");
    put(tree, "usr/binary", "x");
    tree.directory(tree.lookup(tree.root(), "usr")->value().node, "sbin");
    tree.link(tree.root(), "bin", "usr/bin");
    CHECK(names(alone(check_of(tree))) == Names{"executable-directory:bin",
                                                "executable-directory:usr/bin/bash",
                                                "executable-directory:usr/sbin"});
    CHECK(alone(check_of(tree, LayerClass::base_refresh)).empty());
  }

  TEST_CASE("an override names one path or a whole rule, and stays in the report") {
    MemoryTree tree;
    put(tree, "usr/bin/a", "x");
    put(tree, "usr/bin/b", "x");
    LayerCheck check = check_of(tree);
    check.package_of = [](const std::string& path) { return path.ends_with('b') ? "bash" : ""; };
    check.overrides = {"executable-directory:usr/bin/a"};
    auto findings = alone(check);
    CHECK(findings[0].overridden);
    CHECK_FALSE(findings[1].overridden);
    CHECK(findings[1].package == "bash");
    const base::Error error = image::refusal(findings);
    CHECK(error.kind == base::ErrorKind::profile);
    CHECK(
        error.what ==
        "'usr/bin/b' (package 'bash') in layer 'webkit' lies in a directory of executables: executables come "
        "from the base, or from the application itself");
    CHECK(error.hint ==
          "take the package or file out of the layer, or allow it in the profile: "
          "allow = [\"executable-directory:usr/bin/b\"]");
    CHECK(findings[1].detail == "lies in a directory of executables");
    check.overrides = {"executable-directory"};
    CHECK_FALSE(image::is_refused(alone(check)));
    check.overrides = {"executable-directory:usr/bin/?"};
    CHECK_FALSE(image::is_refused(alone(check)));
    check.overrides = {"executable-directory:usr/bin"};
    CHECK(image::is_refused(alone(check)));
    check.overrides.clear();
    const base::Error both = image::refusal(alone(check));
    CHECK(both.what.find("; 'usr/bin/b' (package 'bash')") != std::string::npos);
    CHECK(both.hint.ends_with(
        "allow = [\"executable-directory:usr/bin/a\", \"executable-directory:usr/bin/b\"]"));
    for (const char* name : {"c", "d", "e", "f"}) put(tree, std::string("usr/bin/") + name, "x");
    const base::Error many = image::refusal(alone(check_of(tree)));
    CHECK(many.what.ends_with("; and 2 more"));
    CHECK(many.hint.ends_with(", …]"));
  }

  TEST_CASE("an override that no rule has is an error with the nearest rule") {
    CHECK(image::check_override_names({"set-id", "abi-library:usr/lib64/*"}).has_value());
    const auto wrong = image::check_override_names({"abi-libary:usr/lib64/libc.so.6"});
    REQUIRE_FALSE(wrong.has_value());
    CHECK(wrong.error().what.find("no rule for layers is called 'abi-libary'") != std::string::npos);
    CHECK(wrong.error().hint == "did you mean 'abi-library'?");
    CHECK(image::check_override_names({"x"}).error().hint.find("the rules are: ") == 0);
  }

  TEST_CASE("an ELF file that cannot be read is an error, not a pass") {
    MemoryTree tree;
    put(tree, "usr/lib64/x", "x");
    LayerCheck check = check_of(tree);
    check.read_elf = [](const image::FileTree&,
                        const image::WalkEntry&) -> image::Result<std::optional<image::ElfIdentity>> {
      return base::fail(base::ErrorKind::corrupt, "torn");
    };
    CHECK(image::check_layer(check).error().what == "torn");
  }

  TEST_CASE("the table is sound: ids once, a reason each, classes that read back") {
    std::set<std::string_view> ids;
    for (const image::LayerRule& rule : image::layer_rules()) {
      CHECK(ids.insert(rule.id).second);
      CHECK_FALSE(rule.reason.empty());
      CHECK(rule.holds_for(LayerClass::deps));
    }
    for (const LayerClass one : {LayerClass::base, LayerClass::deps, LayerClass::base_refresh,
                                 LayerClass::compat, LayerClass::finish})
      CHECK(image::parse_layer_class(to_string(one)) == one);
    CHECK_FALSE(image::parse_layer_class("Base").has_value());
  }
}
