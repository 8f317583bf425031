#include "elf/library_cache.hpp"

#include "elf/facts_source.hpp"
#include "elf/ld_conf.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

namespace orch::elf {

using image::DirEntry;
using image::FileTree;
using image::Links;
using image::NodeId;
using image::NodeType;
using image::Resolution;

namespace {

constexpr std::string_view k_loader = "lib64/ld-linux-x86-64.so.2";
constexpr std::uint16_t k_machine_i386 = 3;
constexpr std::uint32_t k_cache_i386 = 0x0003;
constexpr std::uint32_t k_cache_x32 = 0x0803;
// Bounds for what a hostile root may make of one scan.
constexpr std::size_t k_max_directories = 4096;
constexpr std::size_t k_max_libraries = 1U << 18;

// What rpm, dpkg and prelink call files that they have not put in place yet.
bool is_temporary(std::string_view name) {
  return name.find(".#prelink#") != std::string_view::npos ||
         name.find(".dpkg-new") != std::string_view::npos ||
         name.find(".dpkg-tmp") != std::string_view::npos || name.find(';') != std::string_view::npos;
}

bool is_library_name(std::string_view name) {
  return (name.starts_with("lib") || name.starts_with("ld-")) && name.find(".so") != std::string_view::npos &&
         !is_temporary(name);
}

// nullopt: a library that no loader here takes out of the cache.
std::optional<std::uint32_t> cache_flags(const Facts& facts) {
  if (facts.type != k_type_shared || !facts.dynamic) return std::nullopt;
  if (facts.machine == k_machine_x86_64) return facts.is_64 ? k_cache_x86_64 : k_cache_x32;
  if (facts.machine == k_machine_i386 && !facts.is_64) return k_cache_i386;
  return std::nullopt;
}

// What is known of one soname in one directory.
struct CachedLibrary {
  std::string file;
  bool is_link = false;
  std::uint32_t flags = 0;
  unsigned isa_level = 0;
};

class Scanner {
 public:
  explicit Scanner(const FileTree& root) : root_(root), facts_(root) {}

  Result<std::optional<LibraryScan>> run() {
    ORCH_TRY(const Resolution loader, image::resolve(root_, k_loader, Links::in_root));
    if (loader.outcome != Resolution::Outcome::found || loader.type != NodeType::file)
      return std::optional<LibraryScan>();
    ORCH_TRY(const LoaderLayout* layout, facts_.layout(loader.node, loader.path));
    if (layout == nullptr) return std::optional<LibraryScan>();
    ORCH_TRY(const std::vector<std::string> configured, read_ld_conf(root_));
    for (const std::string& directory : configured) ORCH_CHECK(add_directory(directory));
    for (const std::string& directory : system_directories(*layout)) ORCH_CHECK(add_directory(directory));
    return std::optional<LibraryScan>(std::move(scan_));
  }

 private:
  // As add_system_dir of x86_64: a loader that looks into /lib64 has an ldconfig that looks into its sisters.
  static std::vector<std::string> system_directories(const LoaderLayout& layout) {
    std::vector<std::string> out;
    for (std::string_view directory : layout.system_directories) {
      while (directory.size() > 1 && directory.ends_with('/')) directory.remove_suffix(1);
      if (!directory.ends_with("/lib64")) {
        out.emplace_back(directory);
        continue;
      }
      const std::string base(directory.substr(0, directory.size() - 2));
      for (const char* suffix : {"", "32", "64", "x32"}) out.push_back(base + suffix);
    }
    return out;
  }

  // A directory counts once, whatever its names.
  Result<> add_directory(const std::string& path) {
    ORCH_TRY(const Resolution found, image::resolve(root_, path, Links::in_root));
    if (found.outcome != Resolution::Outcome::found || found.type != NodeType::directory) return {};
    if (!seen_.insert(found.node).second || scan_.directories.size() >= k_max_directories) return {};
    scan_.directories.push_back(path);
    ORCH_TRY(const std::vector<DirEntry> names, root_.list(found.node));
    ORCH_CHECK(scan(path, found.path, names, ""));
    const auto hwcaps = std::find_if(names.begin(), names.end(),
                                     [](const DirEntry& entry) { return entry.name == "glibc-hwcaps"; });
    return hwcaps == names.end() ? Result<>() : add_hwcaps(path + "/glibc-hwcaps", *hwcaps);
  }

  Result<> add_hwcaps(const std::string& path, const DirEntry& folder) {
    if (folder.type != NodeType::directory) return {};
    ORCH_TRY(const std::vector<DirEntry> names, root_.list(folder.node));
    for (const DirEntry& entry : names) {
      if (entry.type != NodeType::directory) continue;
      const std::string directory = path + "/" + entry.name;
      ORCH_TRY(const std::vector<DirEntry> files, root_.list(entry.node));
      ORCH_CHECK(scan(directory, directory, files, entry.name));
    }
    return {};
  }

  // `real`: the directory without links, relative to the root.
  Result<> scan(const std::string& path, const std::string& real, const std::vector<DirEntry>& names,
                const std::string& hwcaps) {
    std::map<std::string, CachedLibrary> by_soname;
    for (const DirEntry& entry : names) {
      if (!is_library_name(entry.name)) continue;
      ORCH_CHECK(look_at(real, entry, by_soname));
    }
    for (const auto& [soname, candidate] : by_soname) {
      if (scan_.entries.size() >= k_max_libraries) return {};
      const bool has_link =
          std::binary_search(names.begin(), names.end(), DirEntry{soname, NodeType::file, {}},
                             [](const DirEntry& a, const DirEntry& b) { return a.name < b.name; });
      LdCacheEntry entry;
      entry.name = soname;
      entry.path = path + "/" + (hwcaps.empty() && has_link ? soname : candidate.file);
      entry.flags = candidate.flags;
      entry.hwcaps = hwcaps;
      entry.isa_level = hwcaps.empty() ? 0 : candidate.isa_level;
      scan_.entries.push_back(std::move(entry));
    }
    return {};
  }

  Result<> look_at(const std::string& real, const DirEntry& name,
                   std::map<std::string, CachedLibrary>& by_soname) {
    NodeId node = name.node;
    NodeType type = name.type;
    std::string path = real + "/" + name.name;
    if (type == NodeType::symlink) {
      ORCH_TRY(Resolution target, image::resolve(root_, path, Links::in_root));
      if (target.outcome != Resolution::Outcome::found) return {};
      node = target.node;
      type = target.type;
      path = std::move(target.path);
    }
    if (type != NodeType::file) return {};
    ORCH_TRY(const Facts* facts, facts_.facts(node, path));
    const std::optional<std::uint32_t> flags = facts == nullptr ? std::nullopt : cache_flags(*facts);
    if (!flags) return {};
    const std::string& soname = facts->soname.empty() ? name.name : facts->soname;
    if (!image::is_valid_name(soname)) return {};
    const bool is_link = is_plain_link(name, soname);
    CachedLibrary found{name.name, is_link, *flags, facts->isa_needed == 0 ? 0 : facts->isa_needed - 1};
    // A link is entered by its own name: "libx.so" beside the "libx.so.1" that it leads to.
    const auto [known, is_new] = by_soname.try_emplace(is_link ? name.name : soname, found);
    if (is_new) return {};
    // A file is better than a link, otherwise the newer name.
    if ((!found.is_link && known->second.is_link) ||
        (found.is_link == known->second.is_link && compare_library_names(known->second.file, found.file) < 0))
      known->second = std::move(found);
    return {};
  }

  // A link of another name than its soname's, or the one for linking ("libx.so"), counts as a file.
  static bool is_plain_link(const DirEntry& name, const std::string& soname) {
    if (name.type != NodeType::symlink) return false;
    return name.name == soname || (name.name.ends_with(".so") && soname.starts_with(name.name));
  }

  const FileTree& root_;
  TreeFacts facts_;
  std::set<NodeId> seen_;
  LibraryScan scan_;
};

}  // namespace

Result<std::optional<LibraryScan>> scan_libraries(const FileTree& root) {
  return Scanner(root).run();
}

bool same_entries(const LdCache& cache, std::vector<LdCacheEntry> entries) {
  const Result<LdCache> made = LdCache::parse(write_ld_cache(entries, ""));
  return made && made->entries() == cache.entries();
}

}  // namespace orch::elf
