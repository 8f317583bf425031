#include "package/lock_file.hpp"

#include "base/text.hpp"
#include "format/toml.hpp"
#include "sys/file.hpp"

#include <algorithm>
#include <initializer_list>
#include <set>
#include <utility>

namespace orch::package {

using base::Error;
using base::ErrorKind;

namespace {

constexpr std::int64_t k_version = 1;
constexpr std::string_view k_renew = "write the lock file anew with 'appimage-orch lock --update'";

tl::unexpected<Error> bad(const base::SourceSpan& where, std::string what) {
  return base::fail(Error(ErrorKind::profile, std::move(what), std::string(k_renew)).at(where));
}

Result<> check_keys(const Value& table, std::string_view what, std::initializer_list<std::string_view> keys) {
  if (!table.is_object()) return bad(table.span, std::string(what) + " must be a table");
  for (const Value::Member& item : table.as_object()) {
    if (std::find(keys.begin(), keys.end(), item.key) != keys.end()) continue;
    return bad(item.key_span, "unknown key '" + base::printable(item.key) + "' in " + std::string(what));
  }
  return {};
}

Result<std::string> text_of(const Value& table, std::string_view key) {
  const Value* value = table.find(key);
  if (value == nullptr) return bad(table.span, "'" + std::string(key) + "' is missing");
  if (!value->is_string())
    return bad(value->span,
               "'" + std::string(key) + "' must be a string, found " + std::string(value->type_name()));
  return value->as_string();
}

Result<const Value::Array*> array_of(const Value& table, std::string_view key) {
  static const Value::Array k_none;
  const Value* value = table.find(key);
  if (value == nullptr) return &k_none;
  if (!value->is_array())
    return bad(value->span,
               "'" + std::string(key) + "' must be an array, found " + std::string(value->type_name()));
  return &value->as_array();
}

Result<LockedLayer> layer_from_value(const Value& table) {
  ORCH_CHECK(
      check_keys(table, "a layer", {"name", "source", "source_identity", "packages", "provided", "package"}));
  LockedLayer layer;
  ORCH_TRY(layer.name, text_of(table, "name"));
  ORCH_TRY(layer.source, text_of(table, "source"));
  ORCH_TRY(layer.source_identity, text_of(table, "source_identity"));
  ORCH_TRY(const Value::Array* asked, array_of(table, "packages"));
  for (const Value& item : *asked) {
    if (!item.is_string()) return bad(item.span, "'packages' must hold strings");
    layer.asked.push_back(item.as_string());
  }
  ORCH_TRY(const Value::Array* provided, array_of(table, "provided"));
  for (const Value& item : *provided) {
    ORCH_CHECK(check_keys(item, "a provided package", {"name", "version", "layer"}));
    ProvidedPackage package;
    ORCH_TRY(package.name, text_of(item, "name"));
    ORCH_TRY(package.version, text_of(item, "version"));
    ORCH_TRY(package.layer, text_of(item, "layer"));
    layer.provided.push_back(std::move(package));
  }
  ORCH_TRY(const Value::Array* packages, array_of(table, "package"));
  std::set<std::string_view> names;
  for (const Value& item : *packages) {
    ORCH_TRY(LockedPackage package, package_from_value(item));
    layer.packages.push_back(std::move(package));
  }
  for (std::size_t i = 0; i < layer.packages.size(); ++i)
    if (!names.insert(layer.packages[i].name).second)
      return bad((*packages)[i].span, "package '" + layer.packages[i].name + "' stands twice in layer '" +
                                          base::printable(layer.name) + "'");
  sort_packages(layer.packages);
  return layer;
}

void line(std::string& out, std::string_view key, std::string_view text) {
  out += std::string(key) + " = " + format::toml_string(text) + "\n";
}

void write_layer(std::string& out, const LockedLayer& layer) {
  out += "\n[[layer]]\n";
  line(out, "name", layer.name);
  line(out, "source", layer.source);
  line(out, "source_identity", layer.source_identity);
  std::vector<std::string> asked;
  for (const std::string& name : layer.asked) asked.push_back(format::toml_string(name));
  out += "packages = [" + base::join(asked, ", ") + "]\n";
  for (const ProvidedPackage& package : layer.provided) {
    out += "\n[[layer.provided]]\n";
    line(out, "name", package.name);
    line(out, "version", package.version);
    line(out, "layer", package.layer);
  }
  for (const LockedPackage& package : layer.packages) {
    out += "\n[[layer.package]]\n";
    line(out, "name", package.name);
    line(out, "version", package.version);
    line(out, "architecture", package.architecture);
    line(out, "sha256", package.sha256.hex());
    out += "size = " + std::to_string(package.size) + "\n";
    if (!package.path.empty()) line(out, "path", package.path);
    line(out, "reason", package.reason);
  }
}

bool has_package(const LockedLayer& layer, std::string_view name) {
  return std::any_of(layer.packages.begin(), layer.packages.end(),
                     [&](const LockedPackage& package) { return package.name == name; });
}

}  // namespace

Result<std::vector<LayerRequest>> layer_requests(const model::Profile& profile) {
  std::vector<LayerRequest> requests;
  const Value* layers = profile.value.find("layers");
  if (layers == nullptr || !layers->is_array()) return requests;
  for (const Value& layer : layers->as_array()) {
    if (layer.string_or("kind", "") != "packages") continue;
    LayerRequest request;
    request.name = layer.string_or("name", "");
    request.role = layer.string_or("role", "");
    request.span = layer.span;
    const std::string source_name = layer.string_or("source_name", "auto");
    const Value* source = layer.find("source");
    const Value none;
    ORCH_TRY(request.source,
             source_from_value(source_name, source != nullptr && source->is_object() ? *source : none));
    if (const Value* packages = layer.find("packages"); packages != nullptr && packages->is_array())
      for (const Value& item : packages->as_array())
        if (item.is_string()) request.packages.push_back(item.as_string());
    std::sort(request.packages.begin(), request.packages.end());
    request.packages.erase(std::unique(request.packages.begin(), request.packages.end()),
                           request.packages.end());
    if (request.packages.empty() && !layer.bool_or("auto", false))
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

Result<LockFile> LockFile::parse(std::string path, std::string text) {
  ORCH_TRY(const Value document, format::parse_toml_text(std::move(path), std::move(text)));
  ORCH_CHECK(check_keys(document, "a lock file", {"version", "layer"}));
  const Value* version = document.find("version");
  if (version == nullptr || !version->is_int())
    return bad(version == nullptr ? document.span : version->span,
               "a lock file begins with 'version', an integer");
  if (version->as_int() != k_version)
    return bad(version->span, "this lock file has version " + std::to_string(version->as_int()) +
                                  ", and this program reads version " + std::to_string(k_version));
  ORCH_TRY(const Value::Array* layers, array_of(document, "layer"));
  LockFile lock;
  for (const Value& table : *layers) {
    ORCH_TRY(LockedLayer layer, layer_from_value(table));
    if (lock.find(layer.name) != nullptr)
      return bad(table.span, "layer '" + base::printable(layer.name) + "' stands twice in this lock file");
    lock.layers.push_back(std::move(layer));
  }
  return lock;
}

std::string LockFile::to_toml() const {
  std::string out =
      "# Written by appimage-orch: the exact packages of this profile's layers. Keep it with the profile;\n"
      "# 'appimage-orch lock --update' takes newer ones.\n"
      "version = " +
      std::to_string(k_version) + "\n";
  for (const LockedLayer& layer : layers) write_layer(out, layer);
  return out;
}

Result<bool> LockFile::save(const std::string& path) const {
  return sys::write_if_changed(path, to_toml());
}

const LockedLayer* LockFile::find(std::string_view layer) const {
  for (const LockedLayer& item : layers)
    if (item.name == layer) return &item;
  return nullptr;
}

std::optional<std::string> LockFile::mismatch(const LayerRequest& request,
                                              const std::vector<std::string>& lower) const {
  const std::string named = "layer '" + base::printable(request.name) + "'";
  const LockedLayer* layer = find(request.name);
  if (layer == nullptr) return named + " is not locked";
  if (layer->source_identity != request.source.identity()) return "the source of " + named + " has changed";
  if (layer->asked != request.packages) return "the packages of " + named + " have changed";
  for (const ProvidedPackage& provided : layer->provided) {
    const LockedLayer* below = find(provided.layer);
    const bool is_below = std::find(lower.begin(), lower.end(), provided.layer) != lower.end();
    if (!is_below || below == nullptr || !has_package(*below, provided.name))
      return named + " relied on package '" + provided.name + "' in layer '" + provided.layer + "'";
  }
  for (const std::string& name : lower) {
    const LockedLayer* below = find(name);
    if (below == nullptr) continue;
    for (const LockedPackage& package : layer->packages)
      if (has_package(*below, package.name))
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

Result<> apply_lock(model::Profile& profile, const LockFile& lock) {
  ORCH_TRY(const std::vector<LayerRequest> requests, layer_requests(profile));
  std::vector<std::string> lower;
  for (const LayerRequest& request : requests) {
    const bool fits = !lock.mismatch(request, lower).has_value();
    lower.push_back(request.name);
    for (Value& layer : profile.value.find("layers")->as_array())
      if (fits && layer.string_or("name", "") == request.name)
        layer.set("locked", to_value(lock.find(request.name)->packages));
  }
  return {};
}

}  // namespace orch::package
