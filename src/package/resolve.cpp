#include "package/resolve.hpp"

#include "package/apt_source.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace orch::package {

namespace {

const LockedLayer* provider(const LockFile& lock, const std::string& name) {
  for (const LockedLayer& layer : lock.layers)
    for (const LockedPackage& package : layer.packages)
      if (package.name == name) return &layer;
  return nullptr;
}

const LockedPackage& package_in(const LockedLayer& layer, const std::string& name) {
  return *std::find_if(layer.packages.begin(), layer.packages.end(),
                       [&](const LockedPackage& package) { return package.name == name; });
}

Result<LockedLayer> resolve_layer(const LayerRequest& request, const LockFile& lower,
                                  std::set<std::string>& updated, const Surroundings& around) {
  ORCH_TRY(AptRoot root, AptRoot::open(request.source, around));
  if (updated.insert(request.source.identity() + request.source.signed_by).second) ORCH_CHECK(root.update());
  if (around.log) around.log("resolving the packages of layer '" + request.name + "'");
  auto closure = resolve_packages(root, request.packages);
  if (!closure) {
    base::Error error = std::move(closure).error();
    if (!error.where && request.span.file) error.where = request.span;
    return base::fail(std::move(error).while_doing("resolving layer '" + request.name + "'"));
  }
  LockedLayer layer{request.name, request.source.name, request.source.identity(), request.packages, {}, {}};
  for (LockedPackage& package : *closure) {
    if (const LockedLayer* below = provider(lower, package.name)) {
      layer.provided.push_back({package.name, package_in(*below, package.name).version, below->name});
    } else {
      layer.packages.push_back(std::move(package));
    }
  }
  return layer;
}

using Versions = std::map<std::string, std::string>;

Versions versions_of(const LockedLayer* layer) {
  Versions versions;
  if (layer != nullptr)
    for (const LockedPackage& package : layer->packages) versions[package.name] = package.version;
  return versions;
}

void compare_layers(const std::string& name, const Versions& before, const Versions& after,
                    std::vector<PackageChange>& changes) {
  Versions all = before;
  all.insert(after.begin(), after.end());
  for (const auto& [package, ignored] : all) {
    const auto old = before.find(package);
    const auto now = after.find(package);
    PackageChange change{name, package, old == before.end() ? "" : old->second,
                         now == after.end() ? "" : now->second};
    if (change.before != change.after) changes.push_back(std::move(change));
  }
}

}  // namespace

Result<LockFile> resolve_lock(const std::vector<LayerRequest>& requests, const std::optional<LockFile>& old,
                              ResolveScope scope, const Surroundings& around) {
  LockFile lock;
  std::set<std::string> updated;
  for (const LayerRequest& request : requests) {
    // Held against the new lower layers, not the old ones: they may have changed just now.
    LockFile trial = lock;
    std::vector<std::string> lower;
    for (const LockedLayer& layer : lock.layers) lower.push_back(layer.name);
    const LockedLayer* kept = old ? old->find(request.name) : nullptr;
    if (kept != nullptr) trial.layers.push_back(*kept);
    if (scope == ResolveScope::missing && kept != nullptr && !trial.mismatch(request, lower)) {
      lock.layers.push_back(*kept);
      continue;
    }
    ORCH_TRY(LockedLayer layer, resolve_layer(request, lock, updated, around));
    lock.layers.push_back(std::move(layer));
  }
  return lock;
}

std::vector<PackageChange> compare_locks(const LockFile& before, const LockFile& after) {
  std::vector<PackageChange> changes;
  for (const LockedLayer& layer : after.layers)
    compare_layers(layer.name, versions_of(before.find(layer.name)), versions_of(&layer), changes);
  for (const LockedLayer& layer : before.layers)
    if (after.find(layer.name) == nullptr) compare_layers(layer.name, versions_of(&layer), {}, changes);
  return changes;
}

}  // namespace orch::package
