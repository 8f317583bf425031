#include "model/profile.hpp"

#include <algorithm>

namespace orch::model {

const base::Value::Array& Profile::layers() const {
  static const base::Value::Array k_none;
  const base::Value* list = value.find("layers");
  return list != nullptr && list->is_array() ? list->as_array() : k_none;
}

base::Value::Array& Profile::layers() {
  base::Value* list = value.find("layers");
  return list != nullptr && list->is_array() ? list->as_array()
                                             : value.set("layers", base::Value::array()).as_array();
}

bool takes_packages(const base::Value& layer) {
  const std::string kind = layer.string_or("kind", "");
  return kind == "packages" || kind == "package";
}

bool is_made_of_stack(const base::Value& layer) {
  const std::string kind = layer.string_or("kind", "");
  return kind == "compat" || kind == "finish";
}

bool has_layers_of_steps(const Profile& profile) {
  return std::any_of(profile.steps.begin(), profile.steps.end(), [](const Rule& step) {
    return std::any_of(step.outputs.begin(), step.outputs.end(),
                       [](const RuleOutput& output) { return output.provides == "layers+"; });
  });
}

}  // namespace orch::model
