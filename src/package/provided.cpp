#include "package/provided.hpp"

#include "image/layer_rules.hpp"
#include "package/archive_cache.hpp"
#include "package/merged_tree.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

namespace orch::package {

namespace {

bool is_library_place(std::string_view place) {
  const auto directories = image::default_library_directories();
  return std::any_of(directories.begin(), directories.end(), [&](std::string_view directory) {
    return place.size() > directory.size() && place.starts_with(directory) && place[directory.size()] == '/';
  });
}

// What a package brings, as places in a stack; documentation and the like left out.
struct Places {
  std::vector<std::string> libraries;
  std::vector<std::string> others;
  std::vector<std::string> copyrights;  // all that some packages have
};

Result<Places> places_of(const std::vector<UnpackedEntry>& entries) {
  TreeRules rules;
  rules.layer_class = LayerClass::base_refresh;  // executables count as well
  Places out;
  for (const UnpackedEntry& item : entries) {
    if (item.entry.kind == EntryKind::directory || item.entry.kind == EntryKind::other) continue;
    ORCH_TRY(std::string place, entry_place(item.entry.path));
    if (place.empty() || !skip_reason(rules, place).empty()) continue;
    const bool copyright = place.ends_with("/copyright");
    (copyright                 ? out.copyrights
     : is_library_place(place) ? out.libraries
                               : out.others)
        .push_back(std::move(place));
  }
  return out;
}

// The layer that has the topmost of all the files; nothing where one of them is not there.
Result<std::optional<std::size_t>> layer_with(const image::MergedView& view,
                                              const std::vector<std::string>& places) {
  std::size_t layer = 0;
  for (const std::string& place : places) {
    ORCH_TRY(const image::Resolution found,
             image::resolve(view, place, image::Links::in_root, image::LastLink::keep));
    if (found.outcome != image::Resolution::Outcome::found || found.type == image::NodeType::directory)
      return std::optional<std::size_t>();
    layer = std::max(layer, view.layer_of(found.node));
  }
  return std::optional<std::size_t>(layer);
}

}  // namespace

Result<std::optional<ProvidedPackage>> provided_by(const image::MergedView& view,
                                                   const LockedPackage& package,
                                                   const std::vector<UnpackedEntry>& entries) {
  if (image::is_abi_package(package.name))
    return std::optional(ProvidedPackage{package.name,
                                         {},
                                         view.layers().front().name,
                                         "loader, C library and compiler runtime belong to the base alone"});
  ORCH_TRY(const Places places, places_of(entries));
  const bool by_libraries = !places.libraries.empty();
  const std::vector<std::string>& needed = by_libraries            ? places.libraries
                                           : places.others.empty() ? places.copyrights
                                                                   : places.others;
  if (needed.empty()) return std::optional<ProvidedPackage>();
  ORCH_TRY(const std::optional<std::size_t> layer, layer_with(view, needed));
  if (!layer) return std::optional<ProvidedPackage>();
  std::string why = by_libraries
                        ? fmt::format("the layer has its files in library directories ({})", needed.size())
                        : fmt::format("the layer has its files ({})", needed.size());
  return std::optional(ProvidedPackage{package.name, {}, view.layers()[*layer].name, std::move(why)});
}

Result<std::vector<ProvidedPackage>> provided_by(const image::MergedView& view,
                                                 const std::vector<LockedPackage>& packages,
                                                 const Source& source, const Surroundings& around,
                                                 const std::string& scratch, unsigned jobs) {
  std::vector<LockedPackage> unknown;
  for (const LockedPackage& package : packages)
    if (!image::is_abi_package(package.name)) unknown.push_back(package);
  ORCH_CHECK(sys::make_dirs(scratch + "/downloads", 0700));
  const std::string archives = scratch + "/archives";
  ORCH_CHECK(collect_archives(unknown, source, around, scratch + "/downloads", archives));
  std::vector<Result<std::optional<ProvidedPackage>>> answers(packages.size());
  std::atomic<std::size_t> next{0};
  const auto look = [&](std::size_t i) -> Result<std::optional<ProvidedPackage>> {
    const LockedPackage& package = packages[i];
    if (image::is_abi_package(package.name)) return provided_by(view, package, {});
    const UnpackPlace place{around.cache_dir + "/unpacked", fmt::format("{}/{}", scratch, i)};
    ORCH_TRY(const UnpackedPackage unpacked,
             unpacked_package(package.sha256, archives + "/" + archive_file_name(package), place));
    return provided_by(view, package, unpacked.entries);
  };
  const auto work = [&] {
    for (std::size_t i = next++; i < packages.size(); i = next++) answers[i] = look(i);
  };
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < std::min<std::size_t>(jobs, packages.size()); ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  std::vector<ProvidedPackage> out;
  for (auto& answer : answers) {
    if (!answer) return base::fail(std::move(answer).error());
    if (*answer) out.push_back(std::move(**answer));
  }
  return out;
}

}  // namespace orch::package
