#include "package/lock_file.hpp"

#include "base/text.hpp"
#include "sys/file.hpp"

#include <algorithm>
#include <utility>

namespace orch::package {

using base::Error;
using base::ErrorKind;

namespace {

bool has_package(const LockedLayer& layer, std::string_view name) {
  return std::any_of(layer.packages.begin(), layer.packages.end(),
                     [&](const LockedPackage& package) { return package.name == name; });
}

// Without versions: another version below must not rebuild this layer.
Value provided_value(const LockedLayer& layer) {
  Value list = Value::array();
  for (const ProvidedPackage& item : layer.provided) {
    Value record = Value::object({{"name", item.name}, {"layer", item.layer}});
    if (!item.why.empty()) record.set("why", item.why);
    list.push(std::move(record));
  }
  return list;
}

bool is_for(const LayerRequest& request, const LockedPackage& package) {
  const bool neutral = package.architecture == "all" || package.architecture == "noarch";
  const bool arm = request.form == LayerForm::package &&
                   (request.architecture == "arm64" || request.architecture == "aarch64");
  return neutral || is_for_x86_64(package) != arm;
}

}  // namespace

Result<std::vector<LayerRequest>> layer_requests(const model::Profile& profile) {
  std::vector<LayerRequest> requests;
  for (const Value& layer : profile.layers()) {
    if (!model::takes_packages(layer)) continue;
    LayerRequest request;
    request.form = layer.string_or("kind", "") == "package" ? LayerForm::package : LayerForm::packages;
    request.architecture = layer.string_or("arch", "");
    request.automatic = layer.bool_or("auto", false);
    request.refreshes = layer.string_or("class", "") == "base-refresh";
    request.name = layer.string_or("name", "");
    request.role = layer.string_or("role", "");
    request.span = layer.span;
    const std::string source_name = layer.string_or("source_name", "auto");
    const Value* source = layer.find("source");
    const Value none;
    ORCH_TRY(request.source,
             source_from_value(source_name, source != nullptr && source->is_object() ? *source : none));
    if (request.form == LayerForm::package) request.packages.push_back(layer.string_or("package", ""));
    if (const Value* packages = layer.find("packages"); packages != nullptr && packages->is_array())
      for (const Value& item : packages->as_array())
        if (item.is_string()) request.packages.push_back(item.as_string());
    std::sort(request.packages.begin(), request.packages.end());
    request.packages.erase(std::unique(request.packages.begin(), request.packages.end()),
                           request.packages.end());
    if (request.packages.empty() && !request.automatic)
      return base::fail(
          Error(ErrorKind::profile, "layer '" + base::printable(request.name) + "' names no packages")
              .at(layer.span));
    requests.push_back(std::move(request));
  }
  return requests;
}

Result<std::optional<LockFile>> LockFile::load(const std::string& path) {
  if (!sys::exists(path)) return std::optional<LockFile>();
  ORCH_TRY(std::string text, sys::read_file(path));
  ORCH_TRY(LockFile lock, parse(path, std::move(text)));
  return std::optional<LockFile>(std::move(lock));
}

Result<bool> LockFile::save(const std::string& path) const {
  return sys::write_if_changed(path, to_toml());
}

const LockedLayer* LockFile::find(std::string_view layer) const {
  for (const LockedLayer& item : layers)
    if (item.name == layer) return &item;
  return nullptr;
}

const LockedImage* LockFile::find_image(std::string_view layer) const {
  for (const LockedImage& item : images)
    if (item.name == layer) return &item;
  return nullptr;
}

void LockFile::set_image(LockedImage image) {
  std::erase_if(images, [&](const LockedImage& item) { return item.name == image.name; });
  images.push_back(std::move(image));
  std::sort(images.begin(), images.end(),
            [](const LockedImage& a, const LockedImage& b) { return a.name < b.name; });
}

namespace {

std::string release_text(const BaseIdentity& base) {
  return base::printable(base.release.empty() ? base.distribution : base.distribution + " " + base.release);
}

}  // namespace

Result<std::optional<std::string>> check_base(const BaseIdentity& locked, const BaseIdentity& present) {
  if (!locked.known() || !present.known() || locked == present) return std::optional<std::string>();
  if (locked.distribution != present.distribution)
    return base::fail(ErrorKind::profile,
                      "the lock file was made against a base of '" + base::printable(locked.distribution) +
                          "', and the base is now one of '" + base::printable(present.distribution) + "'",
                      "resolve for this base with 'appimage-orch lock --update'");
  const std::string now = release_text(present);
  if (locked.release != present.release)
    return std::optional<std::string>("the base was " + release_text(locked) +
                                      " when the packages were locked, and is " + now +
                                      " now: the stack is checked again");
  return std::optional<std::string>(
      "the base (" + now + ") has other packages than when this was locked: the stack is checked again");
}

std::optional<std::string> LockFile::mismatch(const LayerRequest& request,
                                              const std::vector<std::string>& lower) const {
  const std::string named = "layer '" + base::printable(request.name) + "'";
  const LockedLayer* layer = find(request.name);
  if (layer == nullptr) return named + " is not locked";
  if (layer->source_identity != request.source.identity()) return "the source of " + named + " has changed";
  if (layer->asked != request.packages) return "the packages of " + named + " have changed";
  if (!request.automatic && !layer->auto_packages.empty())
    return named + " has packages for missing libraries, and the profile no longer says auto = true";
  for (const AutoPackage& wanted : request.auto_packages)
    if (std::find(layer->auto_packages.begin(), layer->auto_packages.end(), wanted) ==
        layer->auto_packages.end())
      return named + " lacks package '" + wanted.package + "' for '" + base::printable(wanted.soname) + "'";
  for (const LockedPackage& package : layer->packages)
    if (!is_for(request, package))
      return named + " has package '" + package.name + "' for " + package.architecture;
  for (const ProvidedPackage& provided : layer->provided) {
    if (!provided.why.empty()) continue;
    const LockedLayer* below = find(provided.layer);
    const bool is_below = std::find(lower.begin(), lower.end(), provided.layer) != lower.end();
    if (!is_below || below == nullptr || !has_package(*below, provided.name))
      return named + " relied on package '" + provided.name + "' in layer '" + provided.layer + "'";
  }
  for (const std::string& name : lower) {
    const LockedLayer* below = find(name);
    if (below == nullptr) continue;
    for (const LockedPackage& package : layer->packages)
      if (!request.refreshes && has_package(*below, package.name))
        return named + " has package '" + package.name + "', which layer '" + name + "' has now";
  }
  return std::nullopt;
}

std::optional<std::string> LockFile::mismatch(const std::vector<LayerRequest>& requests) const {
  std::vector<std::string> lower;
  for (const LayerRequest& request : requests) {
    if (auto reason = mismatch(request, lower)) return reason;
    lower.push_back(request.name);
  }
  if (layers.size() != requests.size()) return "the lock file has a layer that the profile has not";
  return std::nullopt;
}

std::string lock_path(const model::Profile& profile, const std::string& user_profiles) {
  std::string name = sys::file_name(profile.path);
  if (name.ends_with(".toml")) name.resize(name.size() - 5);
  if (name.empty()) name = profile.name;
  return (profile.built_in ? user_profiles : sys::parent_path(profile.path)) + "/" + name + ".lock.toml";
}

std::string image_recipe(const Value& layer) {
  Value recipe = Value::object();
  for (const char* key : {"kind", "role", "locked", "provided", "arch", "path", "class", "compressor",
                          "cluster", "documentation", "paths", "allow"})
    if (const Value* value = layer.find(key)) recipe.set(key, *value);
  return hash::sha256_of(recipe.canonical()).hex();
}

Result<> apply_lock(model::Profile& profile, const LockFile& lock) {
  ORCH_TRY(const std::vector<LayerRequest> requests, layer_requests(profile));
  std::vector<std::string> lower;
  for (const LayerRequest& request : requests) {
    const bool fits = !lock.mismatch(request, lower).has_value();
    lower.push_back(request.name);
    for (Value& layer : profile.layers())
      if (fits && layer.string_or("name", "") == request.name) {
        layer.set("locked", to_value(lock.find(request.name)->packages));
        layer.set("provided", provided_value(*lock.find(request.name)));
      }
  }
  for (Value& layer : profile.layers()) {
    const LockedImage* image = lock.find_image(layer.string_or("name", ""));
    layer.erase("locked_image");
    if (image == nullptr || image->fex != layer.string_or("fex", "")) continue;
    if (model::takes_packages(layer) && image->recipe != image_recipe(layer)) continue;
    layer.set("locked_image", Value::object({{"sha256", image->sha256.hex()},
                                             {"size", image->size},
                                             {"url", image->url},
                                             {"xxh3", image->xxh3},
                                             {"recipe", image->recipe}}));
  }
  return {};
}

}  // namespace orch::package
