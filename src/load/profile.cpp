#include "load/profile.hpp"

#include "base/text.hpp"
#include "format/toml.hpp"
#include "load/keys.hpp"
#include "load/layers.hpp"
#include "load/merge.hpp"
#include "load/rule_reader.hpp"
#include "load/variables.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace orch::load {

using base::Error;
using base::ErrorKind;
using base::printable;
using base::SourceSpan;

namespace {

bool is_path(std::string_view text) {
  return text.find('/') != std::string_view::npos || text.ends_with(".toml");
}

// The user's first.
std::vector<std::string> folders(const Surroundings& surroundings) {
  return {surroundings.config_dir + "/profiles", surroundings.data_dir + "/profiles"};
}

// How a path is shown: relative where it lies in the working directory.
std::string shown(const std::string& path) {
  const auto within = sys::path_within(path, sys::absolute_path("."));
  return within ? *within : path;
}

std::optional<std::string> find_by_name(const std::string& name, const Surroundings& surroundings,
                                        const std::string& but_not = {}) {
  for (const std::string& folder : folders(surroundings)) {
    const std::string path = sys::absolute_path(folder + "/" + name + ".toml");
    if (path != but_not && sys::exists(path)) return path;
  }
  return std::nullopt;
}

std::string stem(const std::string& path) {
  const std::string name = sys::file_name(path);
  return name.ends_with(".toml") ? name.substr(0, name.size() - 5) : name;
}

}  // namespace

std::vector<std::string> profile_names(const Surroundings& surroundings) {
  std::vector<std::string> out;
  for (const std::string& folder : folders(surroundings)) {
    const auto names = sys::list_dir(folder);
    if (!names) continue;
    for (const std::string& name : *names)
      if (name.ends_with(".toml") && !name.ends_with(".lock.toml")) out.push_back(stem(name));
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

namespace {

// The application itself in the place of its profile, as `run` takes it: by its name, or an ELF file under any.
bool is_program(const std::string& path) {
  if (path.ends_with(".AppImage")) return true;
  const sys::Result<struct stat> info = sys::stat_file(path);
  if (path.ends_with(".toml") || !info || !S_ISREG(info->st_mode)) return false;
  return sys::begins_with(path, sys::k_elf_magic);
}

}  // namespace

Result<std::string> find_profile(const std::string& name_or_path, const Surroundings& surroundings) {
  if (name_or_path.empty()) {
    if (sys::exists("profile.toml")) return std::string("profile.toml");
    return base::fail(ErrorKind::profile, "there is no 'profile.toml' here",
                      "name a profile; 'appimage-orch run APPIMAGE' writes one for an application");
  }
  const auto found = is_path(name_or_path) ? std::nullopt : find_by_name(name_or_path, surroundings);
  if (found) return shown(*found);
  if (is_program(name_or_path))
    return base::fail(
        ErrorKind::profile, fmt::format("'{}' is an application, not a profile", printable(name_or_path)),
        "name its profile ('appimage-orch run APPIMAGE' writes one at the first run), or give it to a "
        "profile with --appimage");
  if (is_path(name_or_path)) {
    if (sys::exists(name_or_path)) return name_or_path;
    return base::fail(ErrorKind::profile, fmt::format("there is no profile '{}'", printable(name_or_path)),
                      "check the path, or give the name of a profile without .toml");
  }
  std::string hint = suggestion(name_or_path, profile_names(surroundings), "profiles");
  if (sys::exists(name_or_path + ".toml"))
    hint = fmt::format("for the file here, write ./{}.toml", name_or_path);
  const std::vector<std::string> looked = folders(surroundings);
  return base::fail(ErrorKind::profile,
                    fmt::format("there is no profile '{}' in '{}' or '{}'", printable(name_or_path),
                                printable(looked[0]), printable(looked[1])),
                    std::move(hint));
}

// ---- the chain of extends ----

namespace {

struct Document {
  std::string path;  // absolute
  Value value;
  std::shared_ptr<const base::SourceFile> file;
};

class ChainReader {
 public:
  explicit ChainReader(const Surroundings& surroundings) : surroundings_(surroundings) {}

  // The profile and what it extends, itself first.
  Result<std::vector<Document>> read(const std::string& path) {
    std::string next = sys::absolute_path(path);
    while (true) {
      ORCH_TRY(Document document, read_one(next));
      chain_.push_back(std::move(document));
      const Value* extends = chain_.back().value.find("extends");
      if (extends == nullptr) return std::move(chain_);
      ORCH_TRY(next, base_of(chain_.back().path, *extends));
      for (std::size_t i = 0; i < chain_.size(); ++i)
        if (chain_[i].path == next) return base::fail(cycle(i));
    }
  }

 private:
  Result<Document> read_one(const std::string& path) {
    Document document;
    document.path = path;
    ORCH_TRY(std::string text, sys::read_file(path));
    document.file = std::make_shared<const base::SourceFile>(base::SourceFile{shown(path), std::move(text)});
    ORCH_TRY(document.value, format::parse_toml(document.file));
    const std::string directory = sys::parent_path(path);
    ORCH_CHECK(expand_variables(document.value, profile_schema(), {directory, surroundings_.environment}));
    ORCH_CHECK(check(document.value, profile_schema(), Append::yes));
    ORCH_CHECK(check_format_version(document.value));
    absolutise(document.value, profile_schema(), directory);
    return document;
  }

  Result<std::string> base_of(const std::string& path, const Value& extends) const {
    const std::string& name = extends.as_string();
    if (is_path(name)) {
      std::string found = sys::absolute_path(name, sys::parent_path(path));
      if (sys::exists(found)) return found;
      return base::fail(profile_error(fmt::format("there is no profile '{}' to extend", printable(name)),
                                      extends.span, "the path is relative to this file"));
    }
    // A user's profile may extend the shipped one of its own name.
    if (const auto found = find_by_name(name, surroundings_, path)) return *found;
    std::vector<std::string> names = profile_names(surroundings_);
    return base::fail(profile_error(fmt::format("there is no profile '{}' to extend", printable(name)),
                                    extends.span, suggestion(name, names, "profiles")));
  }

  // The last document extends the one at `first`.
  Error cycle(std::size_t first) const {
    std::string path;
    for (std::size_t i = first; i < chain_.size(); ++i) path += chain_[i].file->path + " -> ";
    path += chain_[first].file->path;
    Error error = profile_error(fmt::format("profiles extend one another in a circle: {}", printable(path)),
                                chain_.back().value.find("extends")->span, "remove one of these extends");
    for (std::size_t i = first; i + 1 < chain_.size(); ++i)
      error.related.emplace_back("it is extended from here", chain_[i].value.find("extends")->span);
    return error;
  }

  const Surroundings& surroundings_;
  std::vector<Document> chain_;
};

// What speaks of one file only and is not handed on by extends.
constexpr std::array k_own_keys{"schema", "name", "description", "extends", "origin"};

Value merged(std::vector<Document>& chain) {
  Value value = Value::object();
  for (std::size_t i = chain.size(); i-- > 0;) {
    for (const char* own : k_own_keys) value.erase(own);
    merge(value, std::move(chain[i].value), profile_schema().root());
  }
  value.erase("extends");
  return value;
}

// ---- overrides ----

Result<> override_choice(Value& value, const char* table, const char* key, std::string_view option,
                         const std::optional<std::string>& word) {
  if (!word) return {};
  const Key& known = *profile_schema().root().child(table)->child(key)->key;
  for (const std::string_view one : base::split(known.allowed, '|')) {
    if (one != *word) continue;
    value.find(table)->set(key, *word);
    return {};
  }
  return base::fail(ErrorKind::usage, fmt::format("expected {} for {}, found '{}'",
                                                  spoken_list(known.allowed), option, printable(*word)));
}

Result<std::string> existing(const std::string& path, std::string_view option) {
  std::string absolute = sys::absolute_path(path);
  if (sys::stat_file(absolute)) return absolute;
  return base::fail(ErrorKind::usage, fmt::format("{}: there is no file '{}'", option, printable(path)),
                    "check the path");
}

Result<> apply_overrides(Value& value, const Overrides& overrides) {
  Value& launch = *value.find("launch");
  ORCH_CHECK(override_choice(value, "launch", "launcher", "--launcher", overrides.launcher));
  ORCH_CHECK(override_choice(value, "launch", "gpu_mode", "--gpu-mode", overrides.gpu_mode));
  ORCH_CHECK(override_choice(value, "verify", "mode", "--verify", overrides.verify));
  if (overrides.muvm) {
    ORCH_TRY(const std::string muvm, existing(*overrides.muvm, "--muvm"));
    launch.set("muvm", muvm);
  }
  if (overrides.appimage) {
    ORCH_TRY(const std::string appimage, existing(*overrides.appimage, "--appimage"));
    value.find("app")->set("appimage", appimage);
  }
  for (const std::string& image : overrides.images) {
    ORCH_TRY(const std::string path, existing(image, "--image"));
    value.find("stack")->find("images")->push(path);
  }
  return {};
}

// ---- the expanded form ----

Result<> check_file(const Value& path, std::string_view what) {
  const auto found = sys::stat_file(path.as_string());
  if (found) return {};
  const bool absent = found.error().kind == ErrorKind::not_found;
  return base::fail(
      profile_error(absent ? fmt::format("there is no {} '{}'", what, printable(shown(path.as_string())))
                           : found.error().what,
                    path.span, absent ? "a relative path is taken from the profile's folder" : ""));
}

Result<> check_files(const Value& value) {
  if (const Value* appimage = value.find_path("app.appimage")) ORCH_CHECK(check_file(*appimage, "AppImage"));
  for (const Value& layer : value.find("layers")->as_array())
    if (const Value* image = layer.find("image")) ORCH_CHECK(check_file(*image, "image"));
  return {};
}

// app.appimage = { url, sha256 } becomes app.url and app.sha256.
void flatten_app(Value& app) {
  const Value* appimage = app.find("appimage");
  if (appimage == nullptr || !appimage->is_object()) return;
  const Value table = *appimage;
  app.erase("appimage");
  app.set("url", *table.find("url"));
  app.set("sha256", *table.find("sha256"));
}

// What `verify` can know of the library path: what this run was given, or the profile's own, where it is the same on
// every machine.
void set_library_path(Value& value, const std::optional<std::string>& given) {
  Value& verify = *value.find("verify");
  if (given) {
    verify.set("library_path", *given);
    return;
  }
  const Value* path = value.find_path("app.env.LD_LIBRARY_PATH");
  if (path != nullptr && path->host_dependent_part() == nullptr) verify.set("library_path", *path);
}

bool lies_in(const std::string& path, const std::string& folder) {
  return sys::path_within(path, sys::absolute_path(folder)).has_value();
}

}  // namespace

Result<model::Profile> load_profile(const std::string& path, const Surroundings& surroundings,
                                    const Rules& rules, const Overrides& overrides) {
  ORCH_TRY(std::vector<Document> chain, ChainReader(surroundings).read(path));
  model::Profile profile;
  profile.path = chain[0].path;
  profile.directory = sys::parent_path(profile.path);
  profile.built_in = lies_in(profile.path, surroundings.data_dir);
  profile.verbatim = chain[0].file->text;
  for (const Document& document : chain) profile.chain.push_back(document.path);
  Value value = merged(chain);
  profile.name = value.string_or("name", stem(profile.path));
  value.set("name", profile.name);
  fill_defaults(value, profile_schema().root());
  ORCH_CHECK(apply_overrides(value, overrides));
  Value& launch = *value.find("launch");
  launch.set("timeout_ms", *parse_duration(launch.string_or("timeout", "0s")));
  flatten_app(*value.find("app"));
  set_library_path(value, overrides.library_path);
  ORCH_TRY(Value layers, make_layers(value, surroundings));
  value.set("layers", std::move(layers));
  ORCH_CHECK(check_files(value));
  ORCH_TRY(profile.steps, read_steps(*value.find("step"), rules));
  value.erase("step");
  profile.value = std::move(value);
  return profile;
}

Result<> require_app(const model::Profile& profile) {
  const Value* app = profile.value.find("app");
  if (app != nullptr && (app->find("appimage") != nullptr || app->find("url") != nullptr)) return {};
  return base::fail(
      ErrorKind::profile, fmt::format("profile '{}' names no AppImage", printable(profile.name)),
      fmt::format("give one with --appimage FILE, or write a profile with extends = \"{}\" and [app] "
                  "appimage = \"FILE\"",
                  printable(stem(profile.path))));
}

Result<Rules> load_all_rules(const Surroundings& surroundings) {
  return load_rules({surroundings.data_dir + "/rules", surroundings.config_dir + "/rules"});
}

}  // namespace orch::load
