// The text of a lock file, both ways. Its form is in lock_file.hpp.
#include "base/text.hpp"
#include "format/toml.hpp"
#include "package/lock_file.hpp"

#include <algorithm>
#include <initializer_list>
#include <set>
#include <utility>

namespace orch::package {

using base::Error;
using base::ErrorKind;

namespace {

constexpr std::int64_t k_version = 2;
constexpr std::int64_t k_oldest = 1;
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

Result<std::string> optional_text(const Value& table, std::string_view key) {
  if (table.find(key) == nullptr) return std::string();
  return text_of(table, key);
}

Result<std::vector<AutoPackage>> autos_from_value(const Value& table) {
  std::vector<AutoPackage> autos;
  ORCH_TRY(const Value::Array* list, array_of(table, "auto"));
  for (const Value& item : *list) {
    ORCH_CHECK(check_keys(item, "a package of 'auto'", {"soname", "package"}));
    AutoPackage found;
    ORCH_TRY(found.soname, text_of(item, "soname"));
    ORCH_TRY(found.package, text_of(item, "package"));
    autos.push_back(std::move(found));
  }
  std::sort(autos.begin(), autos.end());
  return autos;
}

Result<LockedImage> image_from_value(const Value& table) {
  ORCH_CHECK(check_keys(table, "an image", {"name", "sha256", "size", "fex", "url", "xxh3", "recipe"}));
  LockedImage image;
  ORCH_TRY(image.name, text_of(table, "name"));
  ORCH_TRY(const std::string sha256, text_of(table, "sha256"));
  const std::optional<hash::Sha256> digest = hash::Sha256::parse(sha256);
  if (!digest)
    return bad(table.span,
               "the sha256 of image '" + base::printable(image.name) + "' must be 64 hexadecimal digits");
  image.sha256 = *digest;
  const Value* size = table.find("size");
  if (size == nullptr || !size->is_int() || size->as_int() < 0)
    return bad(size == nullptr ? table.span : size->span,
               "image '" + base::printable(image.name) + "' needs 'size', its bytes");
  image.size = static_cast<std::uint64_t>(size->as_int());
  ORCH_TRY(image.fex, optional_text(table, "fex"));
  ORCH_TRY(image.url, optional_text(table, "url"));
  ORCH_TRY(image.xxh3, optional_text(table, "xxh3"));
  if (!image.xxh3.empty() && (image.xxh3.size() != 16 || !base::unhex(image.xxh3)))
    return bad(table.span,
               "the xxh3 of image '" + base::printable(image.name) + "' must be 16 hexadecimal digits");
  ORCH_TRY(image.recipe, optional_text(table, "recipe"));
  return image;
}

Result<BaseIdentity> base_from_value(const Value* table) {
  BaseIdentity identity;
  if (table == nullptr) return identity;
  ORCH_CHECK(check_keys(*table, "'base'", {"distribution", "release", "package_set"}));
  ORCH_TRY(identity.distribution, text_of(*table, "distribution"));
  ORCH_TRY(identity.release, text_of(*table, "release"));
  ORCH_TRY(identity.package_set, text_of(*table, "package_set"));
  return identity;
}

Result<std::vector<ProvidedPackage>> provided_from_value(const Value& table) {
  std::vector<ProvidedPackage> out;
  ORCH_TRY(const Value::Array* provided, array_of(table, "provided"));
  for (const Value& item : *provided) {
    ORCH_CHECK(check_keys(item, "a provided package", {"name", "version", "layer", "why"}));
    ProvidedPackage package;
    ORCH_TRY(package.name, text_of(item, "name"));
    ORCH_TRY(package.version, text_of(item, "version"));
    ORCH_TRY(package.layer, text_of(item, "layer"));
    ORCH_TRY(package.why, optional_text(item, "why"));
    out.push_back(std::move(package));
  }
  return out;
}

Result<LockedLayer> layer_from_value(const Value& table) {
  ORCH_CHECK(check_keys(
      table, "a layer",
      {"name", "source", "source_identity", "allow_unsigned", "packages", "auto", "provided", "package"}));
  LockedLayer layer;
  ORCH_TRY(layer.name, text_of(table, "name"));
  ORCH_TRY(layer.source, text_of(table, "source"));
  ORCH_TRY(layer.source_identity, text_of(table, "source_identity"));
  ORCH_TRY(const Value::Array* asked, array_of(table, "packages"));
  for (const Value& item : *asked) {
    if (!item.is_string()) return bad(item.span, "'packages' must hold strings");
    layer.asked.push_back(item.as_string());
  }
  layer.allow_unsigned = table.bool_or("allow_unsigned", false);
  ORCH_TRY(layer.auto_packages, autos_from_value(table));
  ORCH_TRY(layer.provided, provided_from_value(table));
  ORCH_TRY(const Value::Array* packages, array_of(table, "package"));
  std::set<std::string_view> names;
  for (const Value& item : *packages) {
    ORCH_TRY(LockedPackage package, package_from_value(item));
    package.allow_unsigned = layer.allow_unsigned;
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
  if (layer.allow_unsigned) out += "allow_unsigned = true\n";
  std::vector<std::string> asked;
  for (const std::string& name : layer.asked) asked.push_back(format::toml_string(name));
  out += "packages = [" + base::join(asked, ", ") + "]\n";
  if (!layer.auto_packages.empty()) {
    out += "auto = [\n";
    for (const AutoPackage& item : layer.auto_packages)
      out += "  { soname = " + format::toml_string(item.soname) +
             ", package = " + format::toml_string(item.package) + " },\n";
    out += "]\n";
  }
  for (const ProvidedPackage& package : layer.provided) {
    out += "\n[[layer.provided]]\n";
    line(out, "name", package.name);
    line(out, "version", package.version);
    line(out, "layer", package.layer);
    if (!package.why.empty()) line(out, "why", package.why);
  }
  for (const LockedPackage& package : layer.packages) {
    out += "\n[[layer.package]]\n";
    line(out, "name", package.name);
    line(out, "version", package.version);
    line(out, "architecture", package.architecture);
    line(out, "sha256", package.sha256.hex());
    out += "size = " + std::to_string(package.size) + "\n";
    if (!package.path.empty()) line(out, "path", package.path);
    if (!package.origin.empty()) line(out, "origin", package.origin);
    line(out, "reason", package.reason);
  }
}

void write_image(std::string& out, const LockedImage& image) {
  out += "\n[[image]]\n";
  line(out, "name", image.name);
  line(out, "sha256", image.sha256.hex());
  out += "size = " + std::to_string(image.size) + "\n";
  if (!image.fex.empty()) line(out, "fex", image.fex);
  if (!image.url.empty()) line(out, "url", image.url);
  if (!image.xxh3.empty()) line(out, "xxh3", image.xxh3);
  if (!image.recipe.empty()) line(out, "recipe", image.recipe);
}

}  // namespace

Result<LockFile> LockFile::parse(std::string path, std::string text) {
  ORCH_TRY(const Value document, format::parse_toml_text(std::move(path), std::move(text)));
  ORCH_CHECK(check_keys(document, "a lock file", {"version", "base", "layer", "image"}));
  const Value* version = document.find("version");
  if (version == nullptr || !version->is_int())
    return bad(version == nullptr ? document.span : version->span,
               "a lock file begins with 'version', an integer");
  if (version->as_int() < k_oldest || version->as_int() > k_version)
    return bad(version->span, "this lock file has version " + std::to_string(version->as_int()) +
                                  ", and this program reads versions 1 and 2");
  ORCH_TRY(const Value::Array* layers, array_of(document, "layer"));
  LockFile lock;
  for (const Value& table : *layers) {
    ORCH_TRY(LockedLayer layer, layer_from_value(table));
    if (lock.find(layer.name) != nullptr)
      return bad(table.span, "layer '" + base::printable(layer.name) + "' stands twice in this lock file");
    lock.layers.push_back(std::move(layer));
  }
  ORCH_TRY(lock.base, base_from_value(document.find("base")));
  ORCH_TRY(const Value::Array* images, array_of(document, "image"));
  for (const Value& table : *images) {
    ORCH_TRY(LockedImage image, image_from_value(table));
    if (lock.find_image(image.name) != nullptr)
      return bad(table.span, "image '" + base::printable(image.name) + "' stands twice in this lock file");
    lock.set_image(std::move(image));
  }
  return lock;
}

std::string LockFile::to_toml() const {
  std::string out =
      "# Written by appimage-orch: the exact packages of this profile's layers. Keep it with the profile;\n"
      "# 'appimage-orch lock --update' takes newer ones.\n"
      "version = " +
      std::to_string(k_version) + "\n";
  if (base.known()) {
    out += "\n[base]\n";
    line(out, "distribution", base.distribution);
    line(out, "release", base.release);
    line(out, "package_set", base.package_set);
  }
  for (const LockedLayer& layer : layers) write_layer(out, layer);
  for (const LockedImage& image : images) write_image(out, image);
  return out;
}

}  // namespace orch::package
