#include "model/profile.hpp"

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

}  // namespace orch::model
