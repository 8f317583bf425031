#include "action/context.hpp"

#include "base/text.hpp"
#include "image/open_tree.hpp"

namespace orch::action {

Result<const Input*> Context::input(std::string_view name) const {
  for (const Input& item : inputs)
    if (item.name == name) return &item;
  return base::fail(base::ErrorKind::internal, "the step has no input '" + std::string(name) + "'",
                    "the rule file does not fit this version of appimage-orch");
}

std::vector<std::string> Context::input_list(std::string_view name) const {
  const std::string prefix = std::string(name) + "[";
  std::vector<std::string> paths;
  for (const Input& item : inputs)
    if (item.name.starts_with(prefix)) paths.push_back(item.path);
  return paths;
}

namespace {

std::vector<std::string> texts_of(const Value& table, std::string_view key) {
  std::vector<std::string> out;
  const Value* list = table.find(key);
  if (list == nullptr || !list->is_array()) return out;
  for (const Value& item : list->as_array()) out.push_back(item.is_string() ? item.as_string() : "");
  return out;
}

}  // namespace

std::vector<std::string> Context::texts(std::string_view parameter) const {
  return texts_of(parameters, parameter);
}

std::vector<std::string> Context::setting_texts(std::string_view setting) const {
  return texts_of(settings, setting);
}

std::string Context::called(const std::string& path) const {
  const std::string layer = settings.string_or("layer", "");
  return layer.empty() ? "'" + base::printable(path) + "'" : image::image_of_layer(path, layer, cache_dir);
}

std::string Context::tool(std::string_view name) const {
  const auto found = tools.find(std::string(name));
  return found == tools.end() ? std::string() : found->second;
}

}  // namespace orch::action
