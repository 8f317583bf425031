#include "load/layers.hpp"

#include "base/text.hpp"
#include "load/keys.hpp"
#include "load/schema.hpp"
#include "load/sources.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

namespace orch::load {

using base::Error;
using base::printable;
using base::SourceSpan;

namespace {

// A name that is safe in file names and labels.
std::string plain_name(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_';
    out += plain ? c : '-';
  }
  return out;
}

// "mesa-x86_64" of "/a/mesa-x86_64.erofs?x".
std::string stem(std::string_view path) {
  path = path.substr(0, path.find('?'));
  path.remove_prefix(path.rfind('/') == std::string_view::npos ? 0 : path.rfind('/') + 1);
  const std::size_t dot = path.rfind('.');
  return plain_name(dot == std::string_view::npos || dot == 0 ? path : path.substr(0, dot));
}

class LayerMaker {
 public:
  LayerMaker(const Value& profile, const Surroundings& surroundings)
      : profile_(profile), surroundings_(surroundings) {}

  Result<Value> make() {
    const Value& stack = *profile_.find("stack");
    ORCH_CHECK(add(*stack.find("base"), "base", "base"));
    for (const Value& layer : stack.find("gpu")->as_array()) ORCH_CHECK(add(layer, "gpu", {}));
    ORCH_CHECK(add_made(stack, "compat"));
    for (const Value& deps : stack.find("deps")->as_array()) ORCH_CHECK(add_deps(deps));
    for (const Value& layer : stack.find("images")->as_array()) ORCH_CHECK(add(layer, "image", {}));
    ORCH_CHECK(add_made(stack, "finish"));
    return std::move(layers_);
  }

 private:
  Result<> add(const Value& from, std::string_view role, std::string name) {
    Value layer = Value::object();
    layer.span = from.span;
    ORCH_TRY(const std::string derived, fill(layer, from, role));
    if (const Value* given = from.find("name")) {
      ORCH_CHECK(put(std::move(layer), given->as_string(), role, given->span));
      return {};
    }
    if (name.empty()) name = derived;
    std::string unique = name;
    for (int n = 2; taken(unique) != nullptr; ++n) unique = fmt::format("{}-{}", name, n);
    return put(std::move(layer), unique, role, from.span);
  }

  // Writes what the layer is; returns a name for it.
  Result<std::string> fill(Value& layer, const Value& from, std::string_view role) {
    if (from.is_string()) {
      const bool automatic = from.as_string() == "auto";
      layer.set("kind", automatic ? "auto" : "file");
      if (!automatic) layer.set("image", from);
      return automatic ? std::string(role) : stem(from.as_string());
    }
    for (const char* kind : {"url", "package", "packages", "fex"})
      if (from.find(kind) != nullptr) layer.set("kind", kind);
    for (const char* key : {"url", "sha256", "package", "arch", "path", "packages", "fex"})
      if (const Value* value = from.find(key)) layer.set(key, *value);
    if (from.find("url") != nullptr) return stem(from.find("url")->as_string());
    if (from.find("fex") != nullptr) return plain_name(from.find("fex")->as_string());
    const Value* named = from.find("source");
    ORCH_CHECK(set_source(layer, named != nullptr ? *named : Value("auto"), from));
    layer.set("made", "here");
    if (from.find("package") != nullptr) return plain_name(from.find("package")->as_string());
    layer.set("class", std::string(role));
    layer.set("auto", false);
    const Value defaults = Value::object({{"compressor", k_default_compressor},
                                          {"cluster", k_default_cluster},
                                          {"documentation", false},
                                          {"allow", Value::array()}});
    for (const Value::Member& member : defaults.as_object()) {
      const Value* given = from.find(member.key);
      layer.set(member.key, given != nullptr ? *given : member.value);
    }
    set_compressor(layer);
    return std::string(role);
  }

  static void set_compressor(Value& layer) {
    if (layer.string_or("compressor", "") == "none") layer.set("compressor", "");
  }

  Result<> set_source(Value& layer, const Value& name, const Value& from) {
    const SourceSpan& where = name.span.file ? name.span : from.span;
    ORCH_TRY(Value table, find_source(profile_, name.as_string(), where, surroundings_));
    layer.set("source_name", name);
    if (!table.is_null()) set_layer_source(layer, std::move(table));
    return {};
  }

  Result<> add_deps(const Value& deps) {
    Value layer = Value::object();
    layer.span = deps.span;
    const Value& name = *deps.find("name");
    if (const SourceSpan* first = taken("deps-" + name.as_string()))
      return base::fail(second("overlay", name.as_string(), name.span, *first));
    if (deps.find("packages")->as_array().empty() && !deps.bool_or("auto", false))
      return base::fail(
          profile_error(fmt::format("overlay '{}' has no packages", printable(name.as_string())), name.span,
                        "name some in 'packages', or write auto = true"));
    layer.set("kind", "packages");
    layer.set("made", "here");
    for (const char* key :
         {"packages", "auto", "class", "compressor", "cluster", "documentation", "paths", "allow"})
      layer.set(key, *deps.find(key));
    set_compressor(layer);
    ORCH_CHECK(set_source(layer, *deps.find("source"), deps));
    return put(std::move(layer), "deps-" + name.as_string(), "deps", name.span);
  }

  // A layer that the tool makes by itself from what lies below it.
  Result<> add_made(const Value& stack, std::string_view kind) {
    const Value& wanted = *stack.find(kind);
    if (wanted.as_string() == "off") return {};
    Value layer = Value::object({{"kind", std::string(kind)}, {"made", "here"}});
    layer.span = wanted.span;
    std::string name(kind);
    for (int n = 2; taken(name) != nullptr; ++n) name = fmt::format("{}-{}", kind, n);
    return put(std::move(layer), name, kind, wanted.span);
  }

  const SourceSpan* taken(std::string_view name) const {
    for (const auto& [other, span] : names_)
      if (other == name) return &span;
    return nullptr;
  }

  static Error second(std::string_view what, std::string_view name, const SourceSpan& span,
                      const SourceSpan& first) {
    Error error =
        profile_error(fmt::format("a second {} '{}'", what, printable(name)), span, "give it another name");
    error.related.emplace_back("first defined here", first);
    return error;
  }

  Result<> put(Value layer, const std::string& name, std::string_view role, const SourceSpan& span) {
    if (name != plain_name(name))
      return base::fail(profile_error(fmt::format("'{}' is not usable as a layer name", printable(name)),
                                      span, "letters, digits, '-', '_' and '.'"));
    if (const SourceSpan* first = taken(name)) return base::fail(second("layer", name, span, *first));
    names_.emplace_back(name, span);
    Value out = Value::object({{"name", name}, {"role", std::string(role)}});
    out.span = layer.span;
    for (Value::Member& member : layer.as_object()) out.as_object().push_back(std::move(member));
    layers_.push(std::move(out));
    return {};
  }

  const Value& profile_;
  const Surroundings& surroundings_;
  Value layers_ = Value::array();
  std::vector<std::pair<std::string, SourceSpan>> names_;
};

// ---- what "auto" stands for ----

Value file_layer(const std::string& path, const std::string& name, std::string_view role,
                 const SourceSpan& span) {
  Value layer =
      Value::object({{"name", name}, {"role", std::string(role)}, {"kind", "file"}, {"image", path}});
  layer.span = span;
  return layer;
}

bool names_images(const model::Profile& profile) {
  const Value::Array& layers = profile.layers();
  return std::any_of(layers.begin(), layers.end(),
                     [](const Value& layer) { return layer.string_or("role", "") == "image"; });
}

Error no_base(const model::Profile& profile, const Host& host, const Value& layer) {
  if (host.launcher == "native")
    return profile_error(
        fmt::format("profile '{}' has no base image: \"auto\" finds images for muvm only", profile.name),
        layer.span,
        "name one in [stack]: base = \"FILE.erofs\", or "
        "base = { packages = [\"coreutils\", \"dash\", \"libc6\"], source = \"auto\" }");
  return profile_error(
      fmt::format("no base image found for '{}': {}", profile.name, base::join(host.looked, "; ")),
      layer.span,
      fmt::format("install the FEX RootFS image (Fedora: fex-emu-rootfs-fedora; elsewhere FEXRootFSFetcher "
                  "gets one), "
                  "or name one in '{}': [stack] base = \"FILE.erofs\"",
                  printable(profile.path)));
}

// The images that stand for an "auto" layer of that role.
std::vector<std::string> automatic_images(const Host& host, std::string_view role) {
  if (host.launcher != "muvm") return {};
  if (role != "base") return host.gpu;
  return host.base.empty() ? std::vector<std::string>() : std::vector<std::string>{host.base};
}

bool is_content(const Value& layer) {
  return !model::is_made_of_stack(layer);
}

bool adds_layers(const model::Profile& profile) {
  return std::any_of(profile.steps.begin(), profile.steps.end(), [](const model::Rule& step) {
    return std::any_of(step.outputs.begin(), step.outputs.end(),
                       [](const model::RuleOutput& output) { return output.provides == "layers+"; });
  });
}

// libkrunfw's guest kernel has no EROFS decompressor but LZ4.
Result<> check_mountable(const Value& layer, const Host& host) {
  const Value* compressor = layer.find("compressor");
  if (host.launcher != "muvm" || compressor == nullptr) return {};
  const std::string& text = compressor->as_string();
  if (text.empty() || text.starts_with("lz4")) return {};
  return base::fail(profile_error(fmt::format("layer '{}' uses {}, which muvm's guest kernel cannot read",
                                              layer.string_or("name", ""), text),
                                  compressor->span.file ? compressor->span : layer.span,
                                  "use \"lz4\", \"lz4hc,9\", or \"none\""));
}

}  // namespace

void set_layer_source(Value& layer, Value table) {
  // Each package of a dnf source is held against these keys; of apt only the lists are, when they are locked.
  const std::string key_file = table.string_or("signed_by", "");
  if (table.string_or("kind", "") == "dnf" && sys::exists(key_file)) layer.set("key_file", key_file);
  layer.set("source", std::move(table));
}

Result<Value> make_layers(const Value& profile, const Surroundings& surroundings) {
  return LayerMaker(profile, surroundings).make();
}

namespace {

// Whether a file or directory that the profile names needs convert-image: a directory, SquashFS, or EROFS
// that a guest with 4 KiB pages (and, for muvm, no decompressor but LZ4) cannot mount. What is neither is
// left to those who use it. Format: Linux, fs/erofs/erofs_fs.h.
bool needs_conversion(const std::string& path, bool only_lz4) {
  constexpr std::uint64_t k_super = 1024;
  constexpr unsigned k_most_block_bits = 12;
  constexpr unsigned k_compression_configs = 2;  // of feature_incompat
  constexpr unsigned k_lz4 = 1;
  const auto info = sys::stat_file(path);
  if (!info) return false;
  if (S_ISDIR(info->st_mode)) return true;
  const auto fd = sys::open_file(path, O_RDONLY);
  if (!S_ISREG(info->st_mode) || !fd) return false;
  const auto head = sys::read_at(fd->get(), 0, 4, path);
  if (head && *head == "hsqs") return true;
  const auto super = sys::read_at(fd->get(), k_super, 128, path);
  if (!super || super->size() < 128 || !super->starts_with("\xE2\xE1\xF5\xE0")) return false;
  const auto byte = [&](std::size_t at) {
    return static_cast<unsigned>(static_cast<unsigned char>((*super)[at]));
  };
  if (byte(12) > k_most_block_bits) return true;
  const bool lists_compressors = (byte(80) & k_compression_configs) != 0;
  return only_lz4 && lists_compressors && ((byte(84) & ~k_lz4) != 0 || byte(85) != 0);
}

// Fetched images are looked at when they are there; the step costs nothing where there is nothing to do.
void mark_conversion(Value& layer, const Host& host) {
  const std::string kind = layer.string_or("kind", "");
  const bool only_lz4 = host.launcher == "muvm";
  const bool fetched = kind == "url" || kind == "fex" || kind == "package";
  if (!fetched && (kind != "file" || !needs_conversion(layer.string_or("image", ""), only_lz4))) return;
  layer.set("convert", true);
  layer.set("only_lz4", only_lz4);
}

}  // namespace

Result<> resolve_auto_layers(model::Profile& profile, const Host& host) {
  Value layers = Value::array();
  for (const Value& layer : profile.layers()) {
    ORCH_CHECK(check_mountable(layer, host));
    if (layer.string_or("kind", "") != "auto") {
      layers.push(layer);
      continue;
    }
    const std::string role = layer.string_or("role", "");
    const std::vector<std::string> images = automatic_images(host, role);
    // A profile without an application builds what it names and launches nothing; images that were named make
    // a stack without a base.
    if (images.empty() && role == "base" && require_app(profile) && !names_images(profile))
      return base::fail(no_base(profile, host, layer));
    for (const std::string& image : images)
      layers.push(file_layer(image, role == "base" ? "base" : "gpu-" + stem(image), role, layer.span));
  }
  for (Value& layer : layers.as_array()) mark_conversion(layer, host);
  // Nothing can be made from nothing: a stack without other layers has none at all.
  const bool has_content = std::any_of(layers.as_array().begin(), layers.as_array().end(), is_content);
  profile.value.set("layers", has_content || adds_layers(profile) ? std::move(layers) : Value::array());
  return {};
}

}  // namespace orch::load
