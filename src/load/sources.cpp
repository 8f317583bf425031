#include "load/sources.hpp"

#include "base/text.hpp"
#include "format/toml.hpp"
#include "load/keys.hpp"
#include "load/rule_reader.hpp"
#include "load/variables.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace orch::load {

namespace {

std::vector<std::string> folders(const Surroundings& surroundings) {
  return {surroundings.config_dir + "/profiles/sources", surroundings.data_dir + "/profiles/sources"};
}

}  // namespace

std::vector<std::string> source_names(const Surroundings& surroundings) {
  std::vector<std::string> out;
  for (const std::string& folder : folders(surroundings)) {
    const auto names = sys::list_dir(folder);
    if (!names) continue;
    for (const std::string& name : *names)
      if (name.ends_with(".toml")) out.push_back(name.substr(0, name.size() - 5));
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

Result<Value> read_source(const std::string& name, const Surroundings& surroundings) {
  for (const std::string& folder : folders(surroundings)) {
    const std::string path = folder + "/" + name + ".toml";
    if (!sys::exists(path)) continue;
    ORCH_TRY(std::string text, sys::read_file(path));
    ORCH_TRY(Value document, format::parse_toml_text(path, std::move(text)));
    ORCH_CHECK(expand_variables(document, source_schema(), {folder, surroundings.environment}));
    ORCH_CHECK(check(document, source_schema(), Append::no));
    ORCH_CHECK(check_format_version(document));
    absolutise(document, source_schema(), folder);
    document.erase("schema");
    return document;
  }
  return base::fail(base::ErrorKind::not_found, fmt::format("no source '{}'", base::printable(name)));
}

Result<Value> find_source(const Value& profile, const std::string& name, const base::SourceSpan& where,
                          const Surroundings& surroundings) {
  const Value* tables = profile.find("source");
  if (const Value* own = tables == nullptr ? nullptr : tables->find(name)) return *own;
  if (name == "auto") return Value();
  std::vector<std::string> names = source_names(surroundings);
  const bool shipped = std::find(names.begin(), names.end(), name) != names.end();
  if (shipped) return read_source(name, surroundings);
  if (tables != nullptr)
    for (const Value::Member& member : tables->as_object()) names.push_back(member.key);
  names.emplace_back("auto");
  return base::fail(profile_error(fmt::format("unknown source '{}'", base::printable(name)), where,
                                  suggestion(name, names, "sources")));
}

}  // namespace orch::load
