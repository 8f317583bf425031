// What an overlay may hold: a table of rules, and a checker that reports every breach. The rules are those
// for deps overlays and what experience added; docs/design/merged-view.md says why.
#pragma once

#include "image/conflicts.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace orch::image {

// What a layer is for. base: a root file system of its own; deps: libraries that an application needs;
// base_refresh: may change the ABI boundary; compat: the link that the loader's path lacks; finish: the
// caches of the whole stack.
enum class LayerClass { base, deps, base_refresh, compat, finish };

// "base", "deps", "base-refresh", "compat", "finish".
std::string_view to_string(LayerClass layer_class);
std::optional<LayerClass> parse_layer_class(std::string_view text);

// refused: the layer must not be used, unless the profile overrides the finding; noted: belongs into the
// report.
enum class Severity { refused, noted };

struct LayerRule {
  std::string_view id;  // "abi-library": stable, part of override names
  char group;           // of the checklist: A architecture, B ABI boundary, C precedence, D library focus,
                        // E what FEX needs
  Severity severity;
  std::uint32_t classes;    // bit N: holds for LayerClass N
  std::string_view reason;  // why, ends each sentence
  bool holds_for(LayerClass layer_class) const {
    return (classes >> static_cast<unsigned>(layer_class) & 1U) != 0;
  }
};

std::span<const LayerRule> layer_rules();

// Names that only the base may have (patterns: '*' stands for any bytes), for reports and other checks.
std::span<const std::string_view> abi_libraries();
std::span<const std::string_view> abi_packages();
// Where a loader without configuration looks, of Fedora and Debian, both architectures; "usr/lib64".
std::span<const std::string_view> default_library_directories();

// Whether the file name (of a path or a DT_SONAME) or package is one of the base's.
bool is_abi_library(std::string_view name);
bool is_abi_package(std::string_view name);

// What the checker has to know of an ELF file.
struct ElfIdentity {
  std::uint16_t machine = 0;  // e_machine, read in the byte order of EI_DATA
  std::string soname;         // DT_SONAME; empty without
};
// Nothing for a file without ELF magic.
using ReadElf =
    std::function<Result<std::optional<ElfIdentity>>(const FileTree& tree, const WalkEntry& file)>;

// A program of a layer, and the interpreter (PT_INTERP) that it names.
struct LayerProgram {
  std::string path;
  std::uint16_t machine = 0;
  std::string interpreter;
};

struct LayerCheck {
  LayerClass layer_class = LayerClass::deps;
  Layer layer;
  std::vector<std::string> packages{};      // names of the packages that it was made from
  std::vector<std::uint16_t> machines{62};  // e_machine values that are allowed: 62 x86_64, 3 i386
  ReadElf read_elf{};                       // not set: nothing about ELF files is checked
  std::vector<LayerProgram> programs{};     // for check_in_stack: those that have an interpreter
  // The package that a path is from, "" if nobody knows; may be empty.
  std::function<std::string(const std::string& path)> package_of{};
  // Names of findings that the profile allows (is_allowed).
  std::set<std::string> overrides{};
};

// Whether one of the names allows breaking that rule for that path (for abi-package: that package): "RULE",
// for all of them, "RULE:PATH", or "RULE:PATTERN", in which '*' stands for any bytes and '?' for one.
bool is_allowed(const std::set<std::string>& overrides, std::string_view rule, std::string_view subject);
// An Error of kind profile for the first name that no rule has, with the nearest one that there is.
Result<> check_override_names(const std::set<std::string>& overrides);

struct Finding {
  std::string rule;
  std::string path;     // abi-package: empty
  std::string layer;    // the layer that was checked
  std::string package;  // if known
  std::string detail;   // what was found, without names of layers: "is an ELF file for bpf, expected x86_64"
  std::string sentence;
  std::string override_name;  // "RULE:PATH", for abi-package "RULE:PACKAGE"
  Severity severity = Severity::refused;
  bool overridden = false;  // the profile allows it: to be recorded, no error
  friend bool operator==(const Finding&, const Finding&) = default;
};

// What concerns the layer alone: groups A, B and D, and of C what needs no layers below. Sorted by path,
// rule.
Result<std::vector<Finding>> check_layer(const LayerCheck& check);
// What concerns the stack: overrides, type conflicts, where absolute links lead and where programs find their
// interpreter, with the exact layers below (bottom first). Only a link that leads to a directory of its own layer is found by both checks.
// `base_layers`: how many of them, from the bottom, are the base's (base image, GPU overlays).
Result<std::vector<Finding>> check_in_stack(const LayerCheck& check, const std::vector<Layer>& below,
                                            std::size_t base_layers);

// Whether any finding forbids the layer: refused and not overridden.
bool is_refused(std::span<const Finding> findings);
// An Error of kind profile that names the first refused finding, the further ones briefly, and how to allow
// them: by `key` of the profile.
base::Error refusal(std::span<const Finding> findings, std::string_view key = "allow");

}  // namespace orch::image
