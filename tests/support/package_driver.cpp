// Drives src/package and the overlay actions without a profile, for integration tests:
//   package-driver lock CACHE LOCK all|missing SOURCE LAYER=NAME,NAME …
//   package-driver fetch CACHE LOCK SOURCE LAYER DIRECTORY                    the archives of a layer
//   package-driver image CACHE LOCK SOURCE LAYER ROLE DIRECTORY JOBS [ALLOW]  image, manifest, archives/
//   package-driver providers CACHE SOURCE SONAME…                             who has these libraries
//   package-driver exact CACHE SOURCE NAME ARCHITECTURE                       one package by itself
// SOURCE: "auto", or a TOML file of one source table. ALLOW: NAME,NAME…, what the layer may break; $ORCH_MKFS
// is the mkfs.erofs to use.
// Prints errors as the program does; exits 0 or 1.
#include "action/context.hpp"
#include "base/text.hpp"
#include "format/toml.hpp"
#include "package/lock_file.hpp"
#include "package/package_source.hpp"
#include "package/resolve.hpp"
#include "sys/file.hpp"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

using namespace orch;
using base::Result;
using base::Value;

sys::SystemProcessRunner& processes() {
  static sys::SystemProcessRunner runner;
  return runner;
}

void log(std::string_view line) {
  std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
}

package::Surroundings around(const std::string& cache) {
  package::Surroundings result;
  result.cache_dir = cache;
  result.processes = &processes();
  result.environment = sys::current_environment();
  result.log = log;
  return result;
}

Result<Value> source_table(const std::string& source) {
  if (source == "auto") return Value();
  ORCH_TRY(std::string text, sys::read_file(source));
  return format::parse_toml_text(source, std::move(text));
}

std::string source_name(const std::string& source) {
  return source == "auto" ? "auto" : "test";
}

Result<> lock_command(const std::vector<std::string>& args) {
  ORCH_TRY(const Value table, source_table(args[3]));
  model::Profile profile;
  Value layers = Value::array();
  for (std::size_t i = 4; i < args.size(); ++i) {
    const std::size_t equals = args[i].find('=');
    Value packages = Value::array();
    for (std::string_view name : base::split(std::string_view(args[i]).substr(equals + 1), ','))
      packages.push(name);
    Value layer = Value::object({{"name", args[i].substr(0, equals)},
                                 {"kind", "packages"},
                                 {"role", i == 4 ? "base" : "deps"},
                                 {"packages", packages},
                                 {"source_name", source_name(args[3])}});
    if (table.is_object()) layer.set("source", table);
    layers.push(std::move(layer));
  }
  profile.value.set("layers", layers);
  ORCH_TRY(const auto requests, package::layer_requests(profile));
  ORCH_TRY(const auto old, package::LockFile::load(args[1]));
  const auto scope = args[2] == "all" ? package::ResolveScope::all : package::ResolveScope::missing;
  ORCH_TRY(const auto lock, package::resolve_lock(requests, old, scope, around(args[0])));
  ORCH_CHECK(lock.save(args[1]));
  return {};
}

// Runs one action as a step would; `outputs` lie in `directory`.
Result<> act(const std::string& name, action::Context& context, const std::string& directory) {
  context.processes = &processes();
  context.log = log;
  ORCH_CHECK(sys::make_dirs(directory));
  ORCH_TRY(context.scratch, sys::make_temp_dir(directory + "/scratch-"));
  const action::Function function = action::find_action(name);
  if (function == nullptr) return base::fail(base::ErrorKind::internal, "no action '" + name + "'");
  return function(context);
}

Result<> fetch_into(const std::vector<std::string>& args, const std::string& directory) {
  ORCH_TRY(const auto lock, package::LockFile::load(args[1]));
  action::Context context;
  context.parameters = Value::object({{"packages", package::to_value(lock.value().find(args[3])->packages)}});
  ORCH_TRY(const Value table, source_table(args[2]));
  context.settings = Value::object({{"source", table}, {"source_name", source_name(args[2])}});
  context.outputs["archives"] = directory + "/archives";
  context.cache_dir = args[0];
  context.processes = &processes();
  context.log = log;
  ORCH_CHECK(sys::make_dirs(directory));
  ORCH_TRY(context.scratch, sys::make_temp_dir(args[0] + "/scratch-"));
  ORCH_CHECK(action::find_action("fetch-packages")(context));
  return sys::remove_tree(context.scratch);
}

std::string mkfs_program() {
  const sys::Environment environment = sys::current_environment();
  const auto given = environment.find("ORCH_MKFS");
  if (given != environment.end()) return given->second;
  return sys::find_program("mkfs.erofs", "/usr/sbin:/usr/bin").value_or("");
}

Result<> image_command(const std::vector<std::string>& args) {
  const std::string& directory = args[5];
  ORCH_CHECK(fetch_into(args, directory));
  ORCH_TRY(const auto lock, package::LockFile::load(args[1]));
  action::Context context;
  context.inputs.push_back({"archives", directory + "/archives", model::ArtifactKind::tree});
  context.parameters = Value::object({{"packages", package::to_value(lock.value().find(args[3])->packages)},
                                      {"role", args[4]},
                                      {"class", args[4]}});
  if (args.size() > 7) {
    Value allow = Value::array();
    for (std::string_view rule : base::split(args[7], ',')) allow.push(rule);
    context.parameters.set("allow", allow);
  }
  context.settings = Value::object({{"layer", args[3]}});
  context.cache_dir = args[0];
  context.tools["mkfs"] = mkfs_program();
  context.outputs["image"] = directory + "/image";
  context.outputs["manifest"] = directory + "/manifest";
  context.jobs = static_cast<unsigned>(std::atoi(args[6].c_str()));
  ORCH_CHECK(act("overlay", context, directory));
  return sys::remove_tree(context.scratch);
}

// "SONAME: NAME NAME" for each.
Result<> providers_command(const std::vector<std::string>& args) {
  ORCH_TRY(const Value table, source_table(args[1]));
  ORCH_TRY(const package::Source source, package::source_from_value(source_name(args[1]), table));
  ORCH_TRY(const auto opened, package::open_source(source, around(args[0])));
  ORCH_CHECK(opened->refresh_if_missing());
  ORCH_TRY(const auto found, opened->providers({args.begin() + 2, args.end()}));
  for (const auto& [soname, names] : found)
    std::printf("%s: %s\n", soname.c_str(), base::join(names, " ").c_str());
  return {};
}

// "NAME VERSION ARCHITECTURE ORIGIN"
Result<> exact_command(const std::vector<std::string>& args) {
  ORCH_TRY(const Value table, source_table(args[1]));
  ORCH_TRY(const package::Source source, package::source_from_value(source_name(args[1]), table));
  ORCH_TRY(const auto opened, package::open_source(source, around(args[0])));
  ORCH_CHECK(opened->refresh_if_missing());
  ORCH_TRY(const package::LockedPackage found, opened->exact(args[2], args[3]));
  std::printf("%s %s %s %s\n", found.name.c_str(), found.version.c_str(), found.architecture.c_str(),
              found.origin.c_str());
  return {};
}

Result<> run(const std::string& command, const std::vector<std::string>& args) {
  if (command == "lock" && args.size() >= 5) return lock_command(args);
  if (command == "fetch" && args.size() == 5) return fetch_into(args, args[4]);
  if (command == "image" && args.size() >= 7) return image_command(args);
  if (command == "providers" && args.size() >= 3) return providers_command(args);
  if (command == "exact" && args.size() == 4) return exact_command(args);
  return base::fail(base::ErrorKind::usage, "see the head of package_driver.cpp");
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> args(argv + std::min(argc, 2), argv + argc);
  if (!args.empty()) args[0] = sys::absolute_path(args[0]);
  const auto result = run(argc > 1 ? argv[1] : "", args);
  if (result) return 0;
  std::fputs(base::render(result.error()).c_str(), stderr);
  return 1;
}
