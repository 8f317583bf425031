#include "cli/auto_packages.hpp"

#include "package/package_source.hpp"

#include <algorithm>
#include <memory>

namespace orch::cli {

using base::Value;

namespace {

bool has_packages(const Value& item) {
  return item.string_or("kind", "") == "missing library" && item.string_or("severity", "") != "hint";
}

Result<package::Source> source_for(const model::Profile& profile, const std::string& layer) {
  ORCH_TRY(const std::vector<package::LayerRequest> requests, package::layer_requests(profile));
  for (const package::LayerRequest& request : requests)
    if (request.form == package::LayerForm::packages && (layer.empty() || request.name == layer))
      return request.source;
  return package::source_from_value("auto", Value());
}

}  // namespace

std::string automatic_layer(const model::Profile& profile) {
  for (const Value& layer : profile.layers())
    if (layer.string_or("role", "") == "deps" && layer.bool_or("auto", false))
      return layer.string_or("name", "");
  return {};
}

Result<SonameAnswer> find_providers(const model::Profile& profile, const std::string& layer,
                                    const std::vector<std::string>& sonames,
                                    const package::Surroundings& around) {
  SonameAnswer answer;
  ORCH_TRY(const package::Source description, source_for(profile, layer));
  answer.source = package::source_label(description);
  if (sonames.empty()) return answer;
  ORCH_TRY(const std::unique_ptr<package::PackageSource> source, package::open_source(description, around));
  ORCH_CHECK(source->refresh_if_missing());
  ORCH_TRY(answer.providers, source->providers(sonames));
  return answer;
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
