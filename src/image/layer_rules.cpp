#include "image/layer_rules.hpp"

#include "base/text.hpp"
#include "image/elf_header.hpp"
#include "image/interpreter.hpp"
#include "image/merged_view.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <map>
#include <tuple>
#include <utility>

namespace orch::image {

using base::printable;

namespace {

constexpr std::uint32_t classes(std::initializer_list<LayerClass> list) {
  std::uint32_t out = 0;
  for (const LayerClass one : list) out |= 1U << static_cast<unsigned>(one);
  return out;
}

constexpr std::uint32_t k_all = classes(
    {LayerClass::base, LayerClass::deps, LayerClass::base_refresh, LayerClass::compat, LayerClass::finish});
constexpr std::uint32_t k_overlays = k_all & ~classes({LayerClass::base});
// Those that must leave alone what the base has.
constexpr std::uint32_t k_guarded = classes({LayerClass::deps, LayerClass::compat, LayerClass::finish});
constexpr std::uint32_t k_built = classes({LayerClass::deps, LayerClass::base_refresh, LayerClass::finish});

constexpr Severity k_refused = Severity::refused;
constexpr Severity k_noted = Severity::noted;

constexpr std::array k_rules{
    LayerRule{"foreign-machine", 'A', k_refused, k_all, "the emulated loader skips it or the program dies"},
    LayerRule{"exempt-machine", 'A', k_noted, k_all, "no program of the guest runs it"},
    LayerRule{"abi-library", 'B', k_refused, k_guarded,
              "loader, libc and compiler runtime belong to the base alone"},
    LayerRule{"abi-soname", 'B', k_refused, k_guarded,
              "loader, libc and compiler runtime belong to the base alone"},
    LayerRule{"abi-package", 'B', k_refused, k_guarded,
              "loader, libc and compiler runtime belong to the base alone"},
    LayerRule{"loader-config", 'B', k_refused, k_guarded,
              "it would change how every program of the guest finds its libraries"},
    LayerRule{"base-override", 'C', k_refused, k_guarded,
              "overlays add to the base and replace nothing of it"},
    LayerRule{"base-duplicate", 'C', k_refused, k_guarded,
              "it would shadow the base's file as soon as the base is updated"},
    LayerRule{"other-override", 'C', k_noted, k_overlays, "the upper layer wins"},
    LayerRule{"directory-attributes", 'C', k_noted, k_overlays, "a united directory shows the upper layer's"},
    LayerRule{"type-conflict", 'C', k_refused, k_overlays,
              "it hides everything that lies behind the lower one"},
    LayerRule{"unmerged-usr", 'C', k_refused, k_built,
              "over a base whose top-level directories are links into usr it would hide them"},
    LayerRule{"whiteout", 'C', k_refused, k_all, "a layer must not remove what others have"},
    LayerRule{"opaque-directory", 'C', k_refused, k_all, "a layer must not remove what others have"},
    LayerRule{"redirect-mark", 'C', k_refused, k_all, "kernels differ in whether they follow it"},
    LayerRule{"device-node", 'C', k_refused, k_overlays, "libraries need none"},
    LayerRule{"fifo-or-socket", 'C', k_refused, k_overlays, "libraries need none"},
    LayerRule{"set-id", 'C', k_refused, k_overlays, "nothing in an overlay may run with other rights"},
    LayerRule{"absolute-directory-link", 'C', k_refused, k_all,
              "FEX's loader follows it out of the guest's root file system"},
    LayerRule{"executable-directory", 'D', k_refused, k_guarded,
              "executables come from the base, or from the application itself"},
    LayerRule{"interpreter", 'E', k_refused, classes({LayerClass::deps}), "nothing can start it"},
};

// Section B of the checklist. A name on any default library directory counts, not only in lib64.
constexpr std::array k_abi_libraries = std::to_array<std::string_view>(
    {"ld-linux-x86-64.so.2", "ld-linux.so.2", "libc.so.6", "libstdc++.so.6", "libgcc_s.so.1",
     "libpthread.so.0", "libm.so.6", "libdl.so.2", "librt.so.1", "libresolv.so.2", "libutil.so.1",
     "libanl.so.1", "libnsl.so.1", "libnss_*.so.2", "libthread_db.so.1", "libmvec.so.1", "libgomp.so.1",
     "libatomic.so.1"});

// Fedora's names (the checklist's), then Debian's for the same files.
constexpr std::array k_abi_packages = std::to_array<std::string_view>(
    {"glibc", "glibc-*", "gcc-libs", "libgcc", "libstdc++", "libgomp", "libatomic", "libasan", "libubsan",
     "libc6", "libc6-*", "libc-bin", "libgcc1", "lib*gcc-s1", "lib*stdc++6", "libgomp1", "libatomic1",
     "libasan?", "libubsan1"});

constexpr std::array k_library_directories = std::to_array<std::string_view>(
    {"lib", "lib32", "lib64", "lib/x86_64-linux-gnu", "lib/i386-linux-gnu", "usr/lib", "usr/lib32",
     "usr/lib64", "usr/lib/x86_64-linux-gnu", "usr/lib/i386-linux-gnu"});

constexpr std::array k_loader_config =
    std::to_array<std::string_view>({"etc/ld.so.cache", "etc/ld.so.conf", "etc/ld.so.preload"});
constexpr std::array k_executable_directories =
    std::to_array<std::string_view>({"bin", "sbin", "usr/bin", "usr/sbin"});
constexpr std::array k_merged_directories =
    std::to_array<std::string_view>({"bin", "sbin", "lib", "lib32", "lib64", "libx32"});
// Programs for other processors than the guest's: BPF, firmware. Keep it small.
constexpr std::array k_exempt =
    std::to_array<std::string_view>({"usr/lib/bpf", "usr/lib64/bpf", "usr/share/seabios"});
// The links that rootfs-compat makes, in the place of links that do not lead to a loader: whole paths, and names.
constexpr std::array k_compat_directories = std::to_array<std::string_view>({"lib", "lib64"});
constexpr std::array k_compat_loaders =
    std::to_array<std::string_view>({"ld-linux-x86-64.so.2", "ld-linux.so.2"});
// What only the last layer of a stack may replace: it is made from the merged view of all others.
constexpr std::array k_finish_files = std::to_array<std::string_view>(
    {"etc/ld.so.cache", "usr/share/glib-2.0/schemas/gschemas.compiled", "usr/share/mime/*",
     "usr/share/icons/*/icon-theme.cache", "usr/share/applications/mimeinfo.cache",
     "usr/lib*/gdk-pixbuf-2.0/*/loaders.cache", "usr/lib*/gtk-*/immodules.cache",
     "usr/lib*/gio/modules/giomodule.cache", "var/cache/fontconfig/*", "usr/lib/fontconfig/cache/*"});

// '*' stands for any bytes, '/' among them, '?' for one.
bool matches(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern.front() == '*') {
    for (std::size_t skip = 0; skip <= text.size(); ++skip)
      if (matches(pattern.substr(1), text.substr(skip))) return true;
    return false;
  }
  if (text.empty() || (pattern.front() != '?' && pattern.front() != text.front())) return false;
  return matches(pattern.substr(1), text.substr(1));
}

template <class Table>
bool any_matches(const Table& patterns, std::string_view text) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](std::string_view pattern) { return matches(pattern, text); });
}

bool is_at_or_below(std::string_view path, std::string_view directory) {
  return path.starts_with(directory) && (path.size() == directory.size() || path[directory.size()] == '/');
}

template <class Table>
bool any_contains(const Table& directories, std::string_view path) {
  return std::any_of(directories.begin(), directories.end(),
                     [&](std::string_view directory) { return is_at_or_below(path, directory); });
}

std::string_view name_of_path(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

// Whether the loader, left alone, finds files of this directory: a default one, or its glibc-hwcaps.
bool is_library_path(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return false;
  std::string_view directory = path.substr(0, slash);
  const std::size_t capabilities = directory.find("/glibc-hwcaps/");
  if (capabilities != std::string_view::npos) directory = directory.substr(0, capabilities);
  return std::find(k_library_directories.begin(), k_library_directories.end(), directory) !=
         k_library_directories.end();
}

const LayerRule& rule_of(std::string_view id) {
  return *std::find_if(k_rules.begin(), k_rules.end(), [&](const LayerRule& rule) { return rule.id == id; });
}

// How many findings an error names; a package of a C library breaks dozens of rules at once.
constexpr std::size_t k_most_named = 4;

std::string allow_item(const Finding& finding) {
  return fmt::format("\"{}\"", printable(finding.override_name));
}

// Collects what breaks the rules that hold for the layer's class.
class Checker {
 public:
  explicit Checker(const LayerCheck& check) : check_(check) {}

  // `what` continues "'PATH' in layer 'NAME' ".
  void report(std::string_view id, const std::string& path, std::string what) {
    const LayerRule& rule = rule_of(id);
    if (!rule.holds_for(check_.layer_class) || is_finish_file(id, path)) return;
    Finding finding;
    finding.path = path;
    finding.package = check_.package_of ? check_.package_of(path) : "";
    const std::string from =
        finding.package.empty() ? "" : fmt::format(" (package '{}')", printable(finding.package));
    finding.detail = what;
    add(rule, std::move(finding), path,
        fmt::format("'{}'{} in layer '{}' {}", printable(path), from, printable(check_.layer.name), what));
  }

  void report_package(std::string_view id, const std::string& package, std::string what) {
    const LayerRule& rule = rule_of(id);
    if (!rule.holds_for(check_.layer_class)) return;
    Finding finding;
    finding.package = package;
    finding.detail = what;
    add(rule, std::move(finding), package,
        fmt::format("package '{}' of layer '{}' {}", printable(package), printable(check_.layer.name), what));
  }

  Result<> check_entry(const WalkEntry& entry) {
    const std::string& path = entry.path;
    if (is_library_path(path) && is_abi_library(name_of_path(path)))
      report("abi-library", path, "has the name of a library of the ABI boundary");
    if (std::find(k_loader_config.begin(), k_loader_config.end(), path) != k_loader_config.end())
      report("loader-config", path, "configures the dynamic loader");
    if (entry.type == NodeType::directory && is_one_of(k_merged_directories, path))
      report("unmerged-usr", path, fmt::format("is a directory, expected its content in 'usr/{}'", path));
    ORCH_CHECK(check_executable(entry));
    if (entry.type == NodeType::file && check_.read_elf) ORCH_CHECK(check_elf(entry));
    return {};
  }

  void check_fact(const LayerFact& fact, const std::vector<Layer>& below, std::size_t base_layers) {
    const bool base_owned = fact.layer_below && *fact.layer_below < base_layers;
    const std::string under =
        fact.layer_below ? fmt::format("layer '{}'", printable(below[*fact.layer_below].name)) : "nothing";
    const std::string hides =
        fact.layer_below ? fmt::format(", hiding the {} of {}", to_string(*fact.type_below), under) : "";
    switch (fact.kind) {
      case FactKind::same_content:
        return report(base_owned ? "base-duplicate" : "other-override", fact.path,
                      fmt::format("is the same {} as in {}", to_string(fact.type), under));
      case FactKind::different_content:
        return report(base_owned && !is_compat_link(fact) ? "base-override" : "other-override", fact.path,
                      fmt::format("replaces the one of {} ({}, below: {})", under, fact.above, fact.below));
      case FactKind::type_conflict:
        if (is_finish_link(fact)) return;
        return report("type-conflict", fact.path,
                      fmt::format("is a {} over a {} of {} ({}, below: {})", to_string(fact.type),
                                  to_string(*fact.type_below), under, fact.above, fact.below));
      case FactKind::directory_attributes:
        return report(
            "directory-attributes", fact.path,
            fmt::format("changes the directory of {} ({}, below: {})", under, fact.above, fact.below));
      case FactKind::whiteout:
        return report("whiteout", fact.path, "is a whiteout" + hides);
      case FactKind::opaque_directory:
        return report("opaque-directory", fact.path, "is an opaque directory" + hides);
      case FactKind::redirect_mark:
        return report("redirect-mark", fact.path, "has an overlayfs redirect or metacopy mark");
      case FactKind::device_node:
        return report("device-node", fact.path, fmt::format("is a device ({})", fact.above));
      case FactKind::fifo_or_socket:
        return report("fifo-or-socket", fact.path, fmt::format("is a {}", to_string(fact.type)));
      case FactKind::set_id_bits:
        return report("set-id", fact.path, fmt::format("has a set-uid or set-gid bit ({})", fact.above));
      case FactKind::absolute_directory_link:
        return report("absolute-directory-link", fact.path,
                      fmt::format("is an absolute {} that leads to a directory", fact.above));
    }
  }

  // `view`: the layer with those below.
  Result<> check_programs(const FileTree& view) {
    std::map<std::pair<std::string, std::uint16_t>, std::string> defects;  // few interpreters, many programs
    for (const LayerProgram& program : check_.programs) {
      const auto [known, is_new] = defects.try_emplace({program.interpreter, program.machine});
      if (is_new) {
        ORCH_TRY(known->second, interpreter_defect(view, program.interpreter, program.machine));
      }
      if (!known->second.empty())
        report("interpreter", program.path,
               fmt::format("is a program with the interpreter '{}', {}", printable(program.interpreter),
                           known->second));
    }
    return {};
  }

  std::vector<Finding> take() && {
    std::sort(findings_.begin(), findings_.end(), [](const Finding& a, const Finding& b) {
      return std::tie(a.path, a.rule, a.package) < std::tie(b.path, b.rule, b.package);
    });
    return std::move(findings_);
  }

 private:
  template <class Table>
  static bool is_one_of(const Table& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  }

  // A file of the last layer in the place of a link: what lies behind a link to a file is not hidden by it, as the
  // cache was read through the link.
  bool is_finish_link(const LayerFact& fact) const {
    return check_.layer_class == LayerClass::finish && any_matches(k_finish_files, fact.path) &&
           fact.type == NodeType::file && fact.type_below == NodeType::symlink;
  }

  // The last layer exists to replace these.
  bool is_finish_file(std::string_view id, std::string_view path) const {
    return check_.layer_class == LayerClass::finish && any_matches(k_finish_files, path) &&
           (id == "base-override" || id == "base-duplicate" || id == "other-override" ||
            id == "loader-config");
  }

  // A link over a link: what rootfs-compat is for.
  bool is_compat_link(const LayerFact& fact) const {
    return check_.layer_class == LayerClass::compat && fact.type == NodeType::symlink &&
           (is_one_of(k_compat_directories, fact.path) ||
            is_one_of(k_compat_loaders, name_of_path(fact.path)));
  }

  void add(const LayerRule& rule, Finding finding, const std::string& subject, const std::string& facts) {
    finding.rule = rule.id;
    finding.layer = check_.layer.name;
    finding.severity = rule.severity;
    finding.sentence = fmt::format("{}: {}", facts, rule.reason);
    finding.override_name = fmt::format("{}:{}", rule.id, subject);
    finding.overridden = rule.severity == Severity::refused && is_allowed(check_.overrides, rule.id, subject);
    findings_.push_back(std::move(finding));
  }

  // Every name in a directory for executables; the directory itself only if nothing else would be named.
  Result<> check_executable(const WalkEntry& entry) {
    if (!any_contains(k_executable_directories, entry.path)) return {};
    if (entry.type == NodeType::directory) {
      ORCH_TRY(const std::vector<DirEntry> names, check_.layer.tree->list(entry.node));
      if (!names.empty()) return {};
    }
    report("executable-directory", entry.path, "lies in a directory of executables");
    return {};
  }

  Result<> check_elf(const WalkEntry& entry) {
    ORCH_TRY(const std::optional<ElfIdentity> elf, check_.read_elf(*check_.layer.tree, entry));
    if (!elf) return {};
    const auto& allowed = check_.machines;
    if (std::find(allowed.begin(), allowed.end(), elf->machine) == allowed.end()) {
      std::vector<std::string> names;
      for (const std::uint16_t machine : allowed) names.push_back(machine_name(machine, true));
      report(any_contains(k_exempt, entry.path) ? "exempt-machine" : "foreign-machine", entry.path,
             fmt::format("is an ELF file for {}, expected {}", machine_name(elf->machine, true),
                         base::join(names, " or ")));
    }
    // A file whose own name says it already is not reported twice.
    if (is_library_path(entry.path) && is_abi_library(elf->soname) &&
        !is_abi_library(name_of_path(entry.path)))
      report("abi-soname", entry.path,
             fmt::format("calls itself '{}', a library of the ABI boundary", printable(elf->soname)));
    return {};
  }

  const LayerCheck& check_;
  std::vector<Finding> findings_;
};

}  // namespace

std::string_view to_string(LayerClass layer_class) {
  switch (layer_class) {
    case LayerClass::base:
      return "base";
    case LayerClass::deps:
      return "deps";
    case LayerClass::base_refresh:
      return "base-refresh";
    case LayerClass::compat:
      return "compat";
    case LayerClass::finish:
      return "finish";
  }
  return "unknown";
}

std::optional<LayerClass> parse_layer_class(std::string_view text) {
  for (const LayerClass one :
       {LayerClass::base, LayerClass::deps, LayerClass::base_refresh, LayerClass::compat, LayerClass::finish})
    if (to_string(one) == text) return one;
  return std::nullopt;
}

std::span<const LayerRule> layer_rules() {
  return k_rules;
}
std::span<const std::string_view> abi_libraries() {
  return k_abi_libraries;
}
std::span<const std::string_view> abi_packages() {
  return k_abi_packages;
}
std::span<const std::string_view> default_library_directories() {
  return k_library_directories;
}
bool is_abi_library(std::string_view name) {
  return any_matches(k_abi_libraries, name);
}
bool is_abi_package(std::string_view name) {
  return any_matches(k_abi_packages, name);
}

Result<std::vector<Finding>> check_layer(const LayerCheck& check) {
  Checker checker(check);
  for (const std::string& package : check.packages)
    if (is_abi_package(package)) checker.report_package("abi-package", package, "is one of the ABI boundary");
  ORCH_CHECK(walk(*check.layer.tree, [&](const WalkEntry& entry) { return checker.check_entry(entry); }));
  ORCH_TRY(const std::vector<LayerFact> facts, compare_layers({}, check.layer));
  for (const LayerFact& fact : facts) checker.check_fact(fact, {}, 0);
  return std::move(checker).take();
}

Result<std::vector<Finding>> check_in_stack(const LayerCheck& check, const std::vector<Layer>& below,
                                            std::size_t base_layers) {
  Checker checker(check);
  ORCH_TRY(const std::vector<LayerFact> facts, compare_layers(below, check.layer));
  for (const LayerFact& fact : facts)
    if (concerns_stack(fact.kind)) checker.check_fact(fact, below, base_layers);
  if (!check.programs.empty()) {
    std::vector<Layer> all = below;
    all.push_back(check.layer);
    ORCH_TRY(const auto view, MergedView::make(std::move(all), OneLayer::overlay));
    ORCH_CHECK(checker.check_programs(*view));
  }
  return std::move(checker).take();
}

bool is_allowed(const std::set<std::string>& overrides, std::string_view rule, std::string_view subject) {
  return std::any_of(overrides.begin(), overrides.end(), [&](std::string_view name) {
    if (!name.starts_with(rule)) return false;
    name.remove_prefix(rule.size());
    return name.empty() ||
           (name.front() == ':' && (name.substr(1) == subject || matches(name.substr(1), subject)));
  });
}

Result<> check_override_names(const std::set<std::string>& overrides) {
  std::vector<std::string> ids;
  for (const LayerRule& rule : k_rules) ids.emplace_back(rule.id);
  for (const std::string& name : overrides) {
    const std::string id = name.substr(0, name.find(':'));
    if (std::find(ids.begin(), ids.end(), id) != ids.end()) continue;
    const std::optional<std::string> near = base::nearest(id, ids);
    return base::fail(
        base::ErrorKind::profile,
        fmt::format("'{}' allows nothing: no rule for layers is called '{}'", printable(name), printable(id)),
        !near ? fmt::format("the rules are: {}", base::join(ids, ", "))
              : fmt::format("did you mean '{}'?", *near));
  }
  return {};
}

bool is_refused(std::span<const Finding> findings) {
  return std::any_of(findings.begin(), findings.end(), [](const Finding& finding) {
    return finding.severity == Severity::refused && !finding.overridden;
  });
}

base::Error refusal(std::span<const Finding> findings, std::string_view key) {
  std::vector<const Finding*> refused;
  for (const Finding& finding : findings)
    if (finding.severity == Severity::refused && !finding.overridden) refused.push_back(&finding);
  if (refused.empty()) return base::Error(base::ErrorKind::internal, "nothing was refused");
  std::string what = refused.front()->sentence;
  std::string allow = allow_item(*refused.front());
  for (std::size_t i = 1; i < std::min(refused.size(), k_most_named); ++i) {
    what += "; " + refused[i]->sentence;
    allow += ", " + allow_item(*refused[i]);
  }
  if (refused.size() > k_most_named) {
    what += fmt::format("; and {} more", refused.size() - k_most_named);
    allow += ", …";
  }
  return base::Error(
      base::ErrorKind::profile, std::move(what),
      fmt::format("take the package or file out of the layer, or allow it in the profile: {} = [{}]", key,
                  allow));
}

}  // namespace orch::image
