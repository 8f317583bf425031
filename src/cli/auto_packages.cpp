#include "cli/auto_packages.hpp"

#include "base/text.hpp"
#include "image/layer_rules.hpp"
#include "package/package_source.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace orch::cli {

using base::Value;

namespace {

bool lacks_packages(const Value& item) {
  const Value* packages = item.find("packages");
  return item.string_or("kind", "") == "missing library" && item.string_or("severity", "") != "hint" &&
         (packages == nullptr || !packages->is_array() || packages->as_array().empty());
}

// "auto" says nothing of which distribution it came to.
std::string label_of(const package::Source& source, const package::Surroundings& around) {
  std::string distribution = source.distribution;
  std::string release = source.release;
  if (source.host) {
    const Result<std::string> text = sys::read_file(around.os_release);
    distribution = text ? package::os_release_field(*text, "ID") : "";
    release = text ? package::os_release_field(*text, "VERSION_ID") : "";
  }
  std::string label = package::source_label(source);
  if (source.name != "auto" || distribution.empty()) return label;
  return fmt::format("{} ({}{}{})", label, base::printable(distribution), release.empty() ? "" : " ",
                     base::printable(release));
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
  answer.source = label_of(source, around);
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
    if (lacks_packages(item)) out.push_back(item.string_or("soname", ""));
  return out;
}

void add_packages(Value& report, const SonameAnswer& answer) {
  Value* missing = report.find("missing");
  if (missing == nullptr || !missing->is_array()) return;
  for (Value& item : missing->as_array()) {
    if (!lacks_packages(item)) continue;
    const auto found = answer.providers.find(item.string_or("soname", ""));
    if (found == answer.providers.end() || found->second.empty()) continue;
    item.set("packages", Value::strings(found->second));
    item.set("source", answer.source);
  }
}

}  // namespace orch::cli
