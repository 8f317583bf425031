// check-stack: what each layer does to those below it. An overlay that would poison the base is refused; what
// is only worth knowing, or is allowed by the profile, is recorded.
//   inputs      images[N]: the stack, bottom first
//   parameters  names, roles, classes, allow: of the layers, in that order
//   outputs     check: "appimage-orch/stack-check/1": {schema, layers, findings: [{rule, layer, path,
//   severity,
//               overridden, sentence}]}
#include "action/context.hpp"
#include "format/json.hpp"
#include "image/layer_rules.hpp"
#include "image/open_tree.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <sys/stat.h>

#include <algorithm>

namespace orch::action {

namespace {

struct StackLayer {
  image::Layer layer;
  std::string role;
  std::string layer_class;
  std::set<std::string> allow;
};

std::string text_at(const Value& parameters, std::string_view name, std::size_t index) {
  const Value* list = parameters.find(name);
  if (list == nullptr || !list->is_array() || index >= list->as_array().size()) return {};
  const Value& item = list->as_array()[index];
  return item.is_string() ? item.as_string() : std::string();
}

Result<std::vector<StackLayer>> open_stack(const Context& context) {
  const std::vector<std::string> paths = context.input_list("images");
  const Value* allow = context.parameters.find("allow");
  std::vector<StackLayer> out;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    ORCH_TRY(const std::vector<image::Layer> opened,
             image::open_layers({paths[i]}, {text_at(context.parameters, "names", i)}));
    if (opened.empty()) continue;
    StackLayer layer{opened.front(),
                     text_at(context.parameters, "roles", i),
                     text_at(context.parameters, "classes", i),
                     {}};
    if (allow != nullptr && allow->is_array() && i < allow->as_array().size())
      if (const Value& names = allow->as_array()[i]; names.is_array())
        for (const Value& name : names.as_array())
          if (name.is_string()) layer.allow.insert(name.as_string());
    out.push_back(std::move(layer));
  }
  return out;
}

bool is_base(const StackLayer& layer) {
  return layer.role == "base" || layer.role == "gpu";
}

// Ready-made images and those of a user's steps may replace what is below them, but hide nothing by mistake.
image::LayerClass class_of(const StackLayer& layer) {
  if (layer.role == "compat") return image::LayerClass::compat;
  if (layer.role == "finish") return image::LayerClass::finish;
  if (layer.role == "deps" && layer.layer_class != "base-refresh") return image::LayerClass::deps;
  return image::LayerClass::base_refresh;
}

Value to_value(const std::vector<image::Finding>& findings) {
  Value out = Value::array();
  for (const image::Finding& finding : findings)
    out.push(Value::object({{"rule", finding.rule},
                            {"layer", finding.layer},
                            {"path", finding.path},
                            {"severity", finding.severity == image::Severity::refused ? "refused" : "noted"},
                            {"overridden", finding.overridden},
                            {"sentence", finding.sentence}}));
  return out;
}

}  // namespace

Result<> check_stack(Context& context) {
  ORCH_TRY(const std::vector<StackLayer> stack, open_stack(context));
  std::vector<image::Layer> below;
  std::vector<image::Finding> findings;
  Value names = Value::array();
  std::size_t base_layers = 0;
  for (const StackLayer& layer : stack) {
    names.push(layer.layer.name);
    if (is_base(layer) && base_layers == below.size()) {
      ++base_layers;
    } else {
      image::LayerCheck check;
      check.layer_class = class_of(layer);
      check.layer = layer.layer;
      check.overrides = layer.allow;
      ORCH_TRY(const std::vector<image::Finding> found, image::check_in_stack(check, below, base_layers));
      findings.insert(findings.end(), found.begin(), found.end());
    }
    below.push_back(layer.layer);
  }
  for (const image::Finding& finding : findings) context.log(finding.sentence);
  if (image::is_refused(findings)) return base::fail(image::refusal(findings));
  return sys::write_atomic(context.outputs.at("check"),
                           format::to_json(Value::object({{"schema", "appimage-orch/stack-check/1"},
                                                          {"layers", std::move(names)},
                                                          {"findings", to_value(findings)}})));
}

}  // namespace orch::action
