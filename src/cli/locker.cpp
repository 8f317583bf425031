#include "cli/locker.hpp"

#include "base/text.hpp"
#include "cli/paths.hpp"
#include "load/layers.hpp"
#include "load/sources.hpp"
#include "package/fex_images.hpp"
#include "package/provided.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <thread>
#include <utility>

namespace orch::cli {

using base::ErrorKind;
using base::fail;
using base::Value;
using package::BaseIdentity;
using package::LayerRequest;
using package::LockFile;

namespace {

// "auto" without a table of its own: still to be found.
bool is_open_source(const Value& layer) {
  return model::takes_packages(layer) && layer.string_or("source_name", "auto") == "auto" &&
         layer.find("source") == nullptr;
}

bool is_host(const BaseIdentity& base, const package::Surroundings& around) {
  const auto text = sys::read_file(around.os_release);
  return text && package::os_release_field(*text, "ID") == base.distribution &&
         package::os_release_field(*text, "VERSION_ID") == base.release;
}

// The source file of that distribution and release.
Result<Value> source_of(const BaseIdentity& base, const load::Surroundings& around) {
  for (const std::string& name : load::source_names(around)) {
    ORCH_TRY(Value table, load::read_source(name, around));
    if (table.string_or("distribution", "") == base.distribution &&
        table.string_or("release", "") == base.release)
      return table;
  }
  return Value();
}

// What a lock that was made on packages alone was made against.
BaseIdentity identity_of_packages(const LayerRequest& request, const LockFile& lock,
                                  const std::string& os_release) {
  BaseIdentity out;
  const package::LockedLayer* layer = lock.find(request.name);
  if (request.role != "base" || layer == nullptr) return out;
  out.distribution = request.source.distribution;
  out.release = request.source.release;
  if (request.source.host) {
    out.distribution = package::os_release_field(os_release, "ID");
    out.release = package::os_release_field(os_release, "VERSION_ID");
  }
  hash::Sha256Hasher hasher;
  for (const package::LockedPackage& item : layer->packages)
    hasher.update(fmt::format("{} {} {}\n", item.name, item.version, item.architecture));
  out.package_set = hasher.finish().hex();
  return out;
}

}  // namespace

package::Surroundings Locker::surroundings() const {
  package::Surroundings around;
  around.cache_dir = parts_.session.cache_dir;
  around.processes = &parts_.processes;
  around.environment = parts_.session.environment;
  around.log = parts_.log;
  around.refreshed = &parts_.refreshed;
  return around;
}

Result<BaseFacts> Locker::facts_of(const model::Profile& profile) {
  const auto known = facts_.find(profile.path);
  if (known != facts_.end()) return known->second;
  BaseFacts facts;
  if (!image_layers_below(profile).empty()) {
    ORCH_TRY(const std::vector<LayerIndex> indexes, parts_.lower_indexes(profile));
    ORCH_TRY(facts, read_base_facts(indexes));
  }
  facts_[profile.path] = facts;
  return facts;
}

// The source of a base that is made from packages, or the one of the image's os-release.
Result<Value> Locker::base_source(const model::Profile& profile, const BaseIdentity& base) const {
  for (const Value& layer : profile.layers())
    if (layer.string_or("role", "") == "base" && model::takes_packages(layer) &&
        layer.find("source") != nullptr)
      return *layer.find("source");
  if (!base.known() || is_host(base, surroundings())) return Value();
  const load::Surroundings around{&parts_.session.environment, parts_.session.config_dir,
                                  parts_.session.data_dir};
  ORCH_TRY(Value table, source_of(base, around));
  if (table.is_null())
    return fail(
        ErrorKind::profile,
        base.release.empty()
            ? fmt::format("the base image's distribution is {}, its os-release names no release "
                          "(VERSION_ID), and there is no source for it",
                          base::printable(base.distribution))
            : fmt::format("the base image's distribution is {} {}, and there is no source for it",
                          base::printable(base.distribution), base::printable(base.release)),
        "describe it in a [source.NAME] table, and take it in a layer: [[stack.deps]] with source = \"NAME\" "
        "and auto = true adds what is missing");
  return table;
}

Result<> Locker::resolve_auto_sources(model::Profile& profile, const BaseIdentity& base) const {
  for (Value& layer : profile.layers()) {
    if (!is_open_source(layer) || layer.string_or("role", "") == "base") continue;
    Result<Value> table = base_source(profile, base);
    if (!table)
      return fail(
          std::move(table.error())
              .at(layer.span)
              .while_doing(fmt::format("choosing the source of layer '{}'", layer.string_or("name", ""))));
    if (!table->is_null()) load::set_layer_source(layer, *std::move(table));
  }
  return {};
}

Result<package::Source> Locker::source_for(const model::Profile& profile, const std::string& layer,
                                           const BaseIdentity& base) const {
  ORCH_TRY(const std::vector<LayerRequest> requests, package::layer_requests(profile));
  for (const LayerRequest& request : requests)
    if (request.form == package::LayerForm::packages && request.name == layer) return request.source;
  ORCH_TRY(const Value table, base_source(profile, base));
  return package::source_from_value("auto", table);
}

Result<std::vector<package::Source>> Locker::further_sources(const model::Profile& profile,
                                                             const package::Source& first) const {
  ORCH_TRY(const std::vector<LayerRequest> requests, package::layer_requests(profile));
  std::set<std::string> known = {package::refresh_key(first)};
  std::vector<package::Source> out;
  for (const LayerRequest& request : requests)
    if (request.form == package::LayerForm::packages &&
        known.insert(package::refresh_key(request.source)).second)
      out.push_back(request.source);
  return out;
}

std::vector<LayerRequest> Locker::with_autos(
    std::vector<LayerRequest> requests,
    const std::map<std::string, std::vector<package::AutoPackage>>& autos) const {
  for (LayerRequest& request : requests)
    if (const auto found = autos.find(request.name); found != autos.end())
      request.auto_packages = found->second;
  return requests;
}

Result<LockFile> Locker::resolve(model::Profile& profile, const std::optional<LockFile>& old,
                                 std::vector<LayerRequest> requests, LockPolicy policy) {
  ORCH_TRY(const BaseFacts facts, facts_of(profile));
  const package::Surroundings around = surroundings();
  const std::string scratch = fmt::format("{}/scratch/lock-{}", around.cache_dir, ::getpid());
  if (facts.view) {
    for (LayerRequest& request : requests) {
      if (request.form != package::LayerForm::packages) continue;
      request.provided = [view = facts.view, source = request.source, around,
                          scratch](const std::vector<package::LockedPackage>& packages)
          -> Result<std::vector<package::ProvidedPackage>> {
        ORCH_CHECK(sys::remove_tree(scratch));
        ORCH_CHECK(sys::make_dirs(scratch, 0700));
        if (around.log)
          around.log(fmt::format("holding {} against the images below",
                                 base::quantity(packages.size(), "package", "packages")));
        return package::provided_by(*view, packages, source, around, scratch,
                                    std::max(1U, std::thread::hardware_concurrency()));
      };
    }
  }
  const auto scope =
      policy == LockPolicy::update ? package::ResolveScope::all : package::ResolveScope::missing;
  auto resolved = package::resolve_lock(requests, old, scope, around);
  (void)sys::remove_tree(scratch);
  if (!resolved) return resolved;
  const auto os_release = sys::read_file(around.os_release);
  resolved->base = facts.view
                       ? facts.identity
                       : identity_of_packages(requests.front(), *resolved, os_release ? *os_release : "");
  return resolved;
}

Result<std::optional<LockFile>> Locker::lock_fex_images(const model::Profile& profile,
                                                        std::optional<LockFile> lock, LockPolicy policy,
                                                        const std::string& path) const {
  const Value* list = profile.value.find_path("fex.list");
  const std::string address =
      list != nullptr && list->is_string() ? list->as_string() : std::string(package::k_fex_list);
  bool changed = false;
  for (const Value& layer : profile.layers()) {
    const std::string fex = layer.string_or("fex", "");
    if (layer.string_or("kind", "") != "fex") continue;
    const std::string name = layer.string_or("name", "");
    const package::LockedImage* known = lock ? lock->find_image(name) : nullptr;
    const bool fits = known != nullptr && known->fex == fex;
    if (policy == LockPolicy::leave || (fits && policy != LockPolicy::update)) continue;
    if (policy == LockPolicy::demand)
      return fail(
          ErrorKind::profile,
          fmt::format("the lock file '{}' does not fit the profile: the image of layer '{}' is not locked",
                      path, name),
          fmt::format("run 'appimage-orch lock {}' and keep the file with the profile", profile.path));
    ORCH_TRY(package::LockedImage image,
             package::lock_fex_image(name, fex, address, fits ? std::optional(*known) : std::nullopt,
                                     surroundings()));
    if (!lock) lock.emplace();
    lock->set_image(std::move(image));
    changed = true;
  }
  if (changed) {
    ORCH_CHECK(sys::make_dirs(sys::parent_path(path)));
    ORCH_CHECK(lock->save(path));
  }
  return lock;
}

Result<std::optional<LockFile>> Locker::lock_packaged_images(const model::Profile& profile,
                                                             std::optional<LockFile> lock,
                                                             LockPolicy policy) const {
  ORCH_TRY(std::vector<LayerRequest> requests, package::layer_requests(profile));
  const bool any_other = std::erase_if(requests, [](const LayerRequest& request) {
                           return request.form != package::LayerForm::package;
                         }) > 0;
  const auto fits = [&](const LayerRequest& request) { return lock && !lock->mismatch(request, {}); };
  if (!any_other || requests.empty() || (policy != LockPolicy::resolve && policy != LockPolicy::update))
    return lock;
  if (policy == LockPolicy::resolve && std::all_of(requests.begin(), requests.end(), fits)) return lock;
  const auto scope =
      policy == LockPolicy::update ? package::ResolveScope::all : package::ResolveScope::missing;
  ORCH_TRY(const LockFile resolved, package::resolve_lock(requests, lock, scope, surroundings()));
  LockFile out = lock.value_or(LockFile());
  for (const package::LockedLayer& layer : resolved.layers) {
    std::erase_if(out.layers, [&](const package::LockedLayer& other) { return other.name == layer.name; });
    out.layers.push_back(layer);
  }
  return std::optional<LockFile>(std::move(out));
}

Result<> Locker::lock(model::Profile& profile, LockPolicy policy,
                      const std::map<std::string, std::vector<package::AutoPackage>>& autos) {
  const std::string path = package::lock_path(profile, user_profiles(parts_.session));
  ORCH_TRY(std::optional<LockFile> lock, LockFile::load(path));
  ORCH_TRY(lock, lock_fex_images(profile, std::move(lock), policy, path));
  const bool was_there = lock.has_value();
  const std::optional<LockFile> before = lock;
  ORCH_TRY(lock, lock_packaged_images(profile, std::move(lock), policy));
  const bool other_images = policy == LockPolicy::resolve && lock != before;
  if (lock) ORCH_CHECK(package::apply_lock(profile, *lock));
  const bool may_resolve = policy == LockPolicy::resolve || policy == LockPolicy::update;
  BaseIdentity base = lock ? lock->base : BaseIdentity();
  const bool open = std::any_of(profile.layers().begin(), profile.layers().end(), is_open_source);
  if (open && may_resolve && (!was_there || policy == LockPolicy::update)) {
    ORCH_TRY(const BaseFacts facts, facts_of(profile));
    base = facts.identity;
  }
  ORCH_CHECK(resolve_auto_sources(profile, base));
  ORCH_TRY(std::vector<LayerRequest> requests, package::layer_requests(profile));
  if (requests.empty()) return {};
  requests = with_autos(std::move(requests), autos);
  const std::optional<std::string> mismatch =
      !was_there     ? std::optional<std::string>("there is no lock file")
      : other_images ? std::optional<std::string>("the package of an image has changed")
                     : lock->mismatch(requests);
  if (mismatch && policy == LockPolicy::demand)
    return fail(ErrorKind::profile,
                fmt::format("the lock file '{}' does not fit the profile: {}", path, *mismatch),
                fmt::format("run 'appimage-orch lock {}' and keep the file with the profile", profile.path));
  if (may_resolve && (mismatch || policy == LockPolicy::update)) {
    if (mismatch) parts_.log(fmt::format("resolving packages of '{}': {}", profile.name, *mismatch));
    ORCH_TRY(LockFile resolved, resolve(profile, lock, std::move(requests), policy));
    ORCH_CHECK(sys::make_dirs(sys::parent_path(path)));
    ORCH_CHECK(resolved.save(path));
    lock = std::move(resolved);
  }
  if (lock) ORCH_CHECK(package::apply_lock(profile, *lock));
  return {};
}

}  // namespace orch::cli
