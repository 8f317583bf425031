#include "cli/auto_packages.hpp"

#include "base/text.hpp"
#include "image/layer_rules.hpp"
#include "package/package_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace orch::cli {

using base::Value;

namespace {

bool has_packages(const Value& item) {
  return item.string_or("kind", "") == "missing library" && item.string_or("severity", "") != "hint";
}

}  // namespace

std::string automatic_layer(const model::Profile& profile) {
  for (const Value& layer : profile.layers())
    if (layer.string_or("role", "") == "deps" && layer.bool_or("auto", false))
      return layer.string_or("name", "");
  return {};
}

Result<SonameAnswer> find_providers(const package::Source& source, const std::vector<std::string>& sonames,
                                    const package::Surroundings& around) {
  SonameAnswer answer;
  answer.source = package::source_label(source);
  if (sonames.empty()) return answer;
  ORCH_TRY(const std::unique_ptr<package::PackageSource> open, package::open_source(source, around));
  ORCH_CHECK(open->refresh_if_missing());
  ORCH_TRY(answer.providers, open->providers(sonames));
  return answer;
}

std::vector<package::AutoPackage> choose_packages(const SonameAnswer& answer,
                                                  const std::vector<std::string>& sonames) {
  std::vector<package::AutoPackage> out;
  for (const std::string& soname : sonames) {
    const auto found = answer.providers.find(soname);
    if (found != answer.providers.end() && !found->second.empty() &&
        !image::is_abi_package(found->second.front()))
      out.push_back({soname, found->second.front()});
  }
  return out;
}

std::vector<std::string> unanswered(const SonameAnswer& answer, const std::vector<std::string>& sonames) {
  std::vector<std::string> out;
  for (const std::string& soname : sonames) {
    const auto found = answer.providers.find(soname);
    const std::string named = "'" + base::printable(soname) + "'";
    if (found == answer.providers.end() || found->second.empty())
      out.push_back(fmt::format("no package of {} has {}", answer.source, named));
    else if (image::is_abi_package(found->second.front()))
      out.push_back(fmt::format(
          "{} is of package '{}', which the base has to bring: take a base that has it, or add it to "
          "the packages of the base",
          named, base::printable(found->second.front())));
  }
  return out;
}

std::vector<std::string> wanted_sonames(const Value& report) {
  std::vector<std::string> out;
  const Value* missing = report.find("missing");
  if (missing == nullptr || !missing->is_array()) return out;
  for (const Value& item : missing->as_array())
    if (has_packages(item)) out.push_back(item.string_or("soname", ""));
  return out;
}

void add_packages(Value& report, const package::Providers& providers) {
  Value* missing = report.find("missing");
  if (missing == nullptr || !missing->is_array()) return;
  for (Value& item : missing->as_array()) {
    if (!has_packages(item)) continue;
    const auto found = providers.find(item.string_or("soname", ""));
    if (found != providers.end()) item.set("packages", Value::strings(found->second));
  }
}

}  // namespace orch::cli
