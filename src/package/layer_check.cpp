#include "package/layer_check.hpp"

#include <iterator>
#include <utility>

namespace orch::package {

using base::Value;

namespace {

std::string owner_of(const UnpackOrder& order, const MergedTree& plan, const std::string& path) {
  std::size_t owner = MergedTree::k_no_package;
  if (auto found = plan.nodes().find(path); found != plan.nodes().end()) {
    // A directory that no archive has an entry for is there because of what lies in it.
    for (const std::string below = path + "/"; found->second.package == MergedTree::k_no_package &&
                                               std::next(found) != plan.nodes().end() &&
                                               std::next(found)->first.starts_with(below);)
      ++found;
    owner = found->second.package;
  } else {
    for (const SpecialEntry& special : plan.specials())
      if (special.path == path) owner = special.package;
  }
  return owner < order.packages.size() ? order.packages[owner].name : std::string();
}

std::string_view reason_of(std::string_view id) {
  for (const image::LayerRule& rule : image::layer_rules())
    if (rule.id == id) return rule.reason;
  return {};
}

}  // namespace

Result<std::vector<image::Finding>> check_packages(const UnpackOrder& order, const PlannedLayer& layer,
                                                   const LayerCheckOrder& check) {
  ORCH_CHECK(image::check_override_names(order.rules.overrides));
  image::LayerCheck what;
  what.layer_class = order.rules.layer_class;
  what.layer = {check.layer_name, layer.tree()};
  for (const LockedPackage& package : order.packages) what.packages.push_back(package.name);
  what.read_elf = check.read_elf;
  what.package_of = [&](const std::string& path) { return owner_of(order, *layer.plan, path); };
  what.overrides = order.rules.overrides;
  return image::check_layer(what);
}

Value findings_value(const std::vector<image::Finding>& findings) {
  Value list = Value::array();
  for (const image::Finding& finding : findings)
    list.push(Value::object({{"rule", finding.rule},
                             {"path", base::or_null(finding.path)},
                             {"package", base::or_null(finding.package)},
                             {"severity", finding.severity == image::Severity::refused ? "refused" : "noted"},
                             {"overridden", finding.overridden},
                             {"detail", finding.detail},
                             {"reason", std::string(reason_of(finding.rule))}}));
  return list;
}

}  // namespace orch::package
