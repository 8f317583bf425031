#include "package/resolve.hpp"

#include "image/layer_rules.hpp"

#include <algorithm>
#include <map>
#include <memory>
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

// Moves what the stack has below this layer from the layer's packages to what is provided.
Result<> leave_out_provided(const LayerRequest& request, const LockFile& lower, LockedLayer& layer,
                            const std::function<void(std::string_view)>& log) {
  if (request.form != LayerForm::packages) return {};
  std::map<std::string, ProvidedPackage> there;
  std::vector<LockedPackage> open;
  for (const LockedPackage& package : layer.packages) {
    // What is to take the place of the base's is never the base's: what was asked for, and the ABI boundary.
    const bool asked =
        std::find(request.packages.begin(), request.packages.end(), package.name) != request.packages.end();
    if (request.refreshes && (asked || image::is_abi_package(package.name))) continue;
    if (const LockedLayer* below = provider(lower, package.name))
      there[package.name] = {package.name, package_in(*below, package.name).version, below->name, {}};
    else
      open.push_back(package);
  }
  if (request.provided) {
    ORCH_TRY(const std::vector<ProvidedPackage> found, request.provided(open));
    for (const ProvidedPackage& item : found) there.emplace(item.name, item);
  }
  if (log)
    for (const std::string& name : request.packages)
      if (const auto found = there.find(name); found != there.end())
        log("layer '" + request.name + "': package '" + name + "' is left out, layer '" +
            found->second.layer + "' has it");
  std::erase_if(layer.packages, [&](const LockedPackage& package) { return there.contains(package.name); });
  for (auto& [name, item] : there) layer.provided.push_back(std::move(item));
  return {};
}

// What to ask the source for: the names of the profile, and those that were found for missing libraries.
std::vector<std::string> names_of(const LayerRequest& request, const std::vector<AutoPackage>& autos) {
  std::vector<std::string> names = request.packages;
  for (const AutoPackage& item : autos) names.push_back(item.package);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

void explain_autos(const LayerRequest& request, const std::vector<AutoPackage>& autos,
                   std::vector<LockedPackage>& packages) {
  for (LockedPackage& package : packages) {
    if (std::find(request.packages.begin(), request.packages.end(), package.name) != request.packages.end())
      continue;
    for (const AutoPackage& item : autos) {
      if (item.package != package.name) continue;
      package.reason = "provides " + item.soname;
      break;
    }
  }
}

Result<Resolution> ask(const LayerRequest& request, const std::vector<AutoPackage>& autos,
                       std::set<std::string>& updated, const Surroundings& around) {
  ORCH_TRY(const std::unique_ptr<PackageSource> source, open_source(request.source, around));
  if (updated.insert(refresh_key(request.source)).second) ORCH_CHECK(source->refresh());
  if (around.log) around.log("resolving the packages of layer '" + request.name + "'");
  if (request.form == LayerForm::packages) return source->resolve(names_of(request, autos));
  Resolution out;
  ORCH_TRY(LockedPackage package, source->exact(request.packages.at(0), request.architecture));
  out.packages.push_back(std::move(package));
  return out;
}

Result<LockedLayer> resolve_layer(const LayerRequest& request, std::vector<AutoPackage> autos,
                                  const LockFile& lower, std::set<std::string>& updated,
                                  const Surroundings& around) {
  auto closure = ask(request, autos, updated, around);
  if (!closure) {
    base::Error error = std::move(closure).error();
    if (!error.where && request.span.file) error.where = request.span;
    return base::fail(std::move(error).while_doing("resolving layer '" + request.name + "'"));
  }
  for (const std::string& note : closure->notes)
    if (around.log) around.log("layer '" + request.name + "': " + note);
  explain_autos(request, autos, closure->packages);
  LockedLayer layer{
      request.name, request.source.name, request.source.identity(), request.packages, {}, {}, {}, false};
  layer.allow_unsigned = request.source.allow_unsigned;
  layer.auto_packages = std::move(autos);
  for (LockedPackage& package : closure->packages) {
    package.allow_unsigned = layer.allow_unsigned;
    layer.packages.push_back(std::move(package));
  }
  ORCH_CHECK(leave_out_provided(request, lower, layer, around.log));
  return layer;
}

// Packages for missing libraries that were found once stay until all is resolved anew: what they bring is no
// longer missing, so nobody would ask for them again.
std::vector<AutoPackage> autos_for(const LayerRequest& request, const LockedLayer* kept, ResolveScope scope) {
  std::vector<AutoPackage> autos = request.auto_packages;
  if (kept != nullptr && scope == ResolveScope::missing && request.automatic)
    autos.insert(autos.end(), kept->auto_packages.begin(), kept->auto_packages.end());
  std::sort(autos.begin(), autos.end());
  autos.erase(std::unique(autos.begin(), autos.end()), autos.end());
  return autos;
}

// The packages of a layer, by name, as the difference shows them.
using Named = std::map<std::string, LockedPackage>;

Named packages_of(const LockedLayer* layer) {
  Named out;
  if (layer != nullptr)
    for (const LockedPackage& package : layer->packages) out[package.name] = package;
  return out;
}

void compare_packages(const std::string& layer, const Named& before, const Named& after,
                      std::vector<LockChange>& changes) {
  Named all = before;
  all.insert(after.begin(), after.end());
  for (const auto& [name, ignored] : all) {
    const auto old = before.find(name);
    const auto now = after.find(name);
    LockChange change{ChangeKind::package, layer, name, {}, {}, {}};
    if (old != before.end()) change.before = old->second.version;
    if (now != after.end()) change.after = now->second.version;
    const bool both = old != before.end() && now != after.end();
    if (both && change.before == change.after && old->second.sha256 != now->second.sha256)
      change.after += " (other bytes)";
    if (old == before.end()) change.reason = now->second.reason;
    if (change.before != change.after) changes.push_back(std::move(change));
  }
}

void compare_texts(ChangeKind kind, const std::string& layer,
                   const std::map<std::string, std::string>& before,
                   const std::map<std::string, std::string>& after, std::vector<LockChange>& changes) {
  std::map<std::string, std::string> all = before;
  all.insert(after.begin(), after.end());
  for (const auto& [name, ignored] : all) {
    const auto old = before.find(name);
    const auto now = after.find(name);
    LockChange change{
        kind, layer, name, old == before.end() ? "" : old->second, now == after.end() ? "" : now->second, {}};
    if (change.before != change.after) changes.push_back(std::move(change));
  }
}

std::map<std::string, std::string> autos_of(const LockedLayer* layer) {
  std::map<std::string, std::string> out;
  if (layer != nullptr)
    for (const AutoPackage& item : layer->auto_packages) {
      std::string& text = out[item.soname];
      text += (text.empty() ? "" : ", ") + item.package;
    }
  return out;
}

std::map<std::string, std::string> images_of(const LockFile& lock) {
  std::map<std::string, std::string> out;
  for (const LockedImage& image : lock.images) out[image.name] = image.sha256.hex();
  return out;
}

std::map<std::string, std::string> base_of(const LockFile& lock) {
  return {{"distribution", lock.base.distribution},
          {"package_set", lock.base.package_set},
          {"release", lock.base.release}};
}

void compare_layers(const std::string& name, const LockedLayer* before, const LockedLayer* after,
                    std::vector<LockChange>& changes) {
  compare_texts(ChangeKind::automatic, name, autos_of(before), autos_of(after), changes);
  compare_packages(name, packages_of(before), packages_of(after), changes);
}

}  // namespace

Result<LockFile> resolve_lock(const std::vector<LayerRequest>& requests, const std::optional<LockFile>& old,
                              ResolveScope scope, const Surroundings& around) {
  LockFile lock;
  std::set<std::string> own;
  std::set<std::string>& updated = around.refreshed != nullptr ? *around.refreshed : own;
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
    ORCH_TRY(LockedLayer layer,
             resolve_layer(request, autos_for(request, kept, scope), lock, updated, around));
    lock.layers.push_back(std::move(layer));
  }
  if (!old) return lock;
  lock.base = old->base;
  const bool all_same = old->layers == lock.layers;
  for (const LockedImage& image : old->images) {
    // What a layer without packages has may be made of all the others (the finish layer is).
    const LockedLayer* before = old->find(image.name);
    const LockedLayer* after = lock.find(image.name);
    const bool both = before != nullptr && after != nullptr;
    if (all_same || !image.url.empty() || (both && before->packages == after->packages))
      lock.set_image(image);
  }
  return lock;
}

std::vector<LockChange> compare_locks(const LockFile& before, const LockFile& after) {
  std::vector<LockChange> changes;
  compare_texts(ChangeKind::base, {}, base_of(before), base_of(after), changes);
  for (const LockedLayer& layer : after.layers)
    compare_layers(layer.name, before.find(layer.name), &layer, changes);
  for (const LockedLayer& layer : before.layers)
    if (after.find(layer.name) == nullptr) compare_layers(layer.name, &layer, nullptr, changes);
  compare_texts(ChangeKind::image, {}, images_of(before), images_of(after), changes);
  return changes;
}

}  // namespace orch::package
