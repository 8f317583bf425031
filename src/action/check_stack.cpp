// check-stack: what each layer does to those below it. An overlay that would poison the base is refused; what
// is only worth knowing, or is allowed by the profile, is recorded.
//   inputs      images[N]: the stack, bottom first; indexes[N]: of the images; manifests[N]: of those made from
//   packages
//   parameters  names, roles, classes, allow: of the layers, in that order; allow_ready_made: for those that
//   no package made
//   outputs     check: "appimage-orch/stack-check/1": docs/schemas/stack-check-1.schema.json
#include "action/context.hpp"
#include "action/index_parts.hpp"
#include "elf/index_files.hpp"
#include "format/json.hpp"
#include "image/layer_rules.hpp"
#include "image/open_tree.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

namespace orch::action {

namespace {

struct StackLayer {
  image::Layer layer;
  std::string role;
  std::string layer_class;
  std::set<std::string> allow;
  std::string manifest;  // path; empty for layers that no package made
  std::string index;     // path
};

std::string text_at(const Value& parameters, std::string_view name, std::size_t index) {
  const Value* list = parameters.find(name);
  if (list == nullptr || !list->is_array() || index >= list->as_array().size()) return {};
  const Value& item = list->as_array()[index];
  return item.is_string() ? item.as_string() : std::string();
}

// The manifest of a layer by its number; the list has gaps, where layers have none.
std::string manifest_of(const Context& context, std::size_t index) {
  const std::string name = fmt::format("manifests[{}]", index);
  for (const Input& input : context.inputs)
    if (input.name == name) return input.path;
  return {};
}

// Which package each path of a layer is from. A manifest that cannot be read names none: what is found stands
// without it.
class Owners {
 public:
  explicit Owners(const std::string& manifest) {
    const Result<std::string> text = sys::read_file(manifest);
    const Result<Value> document = text ? format::parse_json(*text, manifest) : Result<Value>(Value());
    const Value* files = document ? document->find("files") : nullptr;
    if (files == nullptr || !files->is_array()) return;
    for (const Value& file : files->as_array())
      if (std::string package = file.string_or("package", ""); !package.empty())
        packages_.emplace(file.string_or("path", ""), std::move(package));
  }

  // A directory that no package has by itself is that of the first package with something in it.
  std::string of(const std::string& path) const {
    const auto found = packages_.find(path);
    if (found != packages_.end()) return found->second;
    const auto inside = packages_.lower_bound(path + "/");
    return inside != packages_.end() && inside->first.starts_with(path + "/") ? inside->second : "";
  }

 private:
  std::map<std::string, std::string> packages_;
};

// The manifest is read when something is found, so for most stacks never.
std::function<std::string(const std::string&)> package_names(const std::string& manifest) {
  if (manifest.empty()) return {};
  auto owners = std::make_shared<std::optional<Owners>>();
  return [manifest, owners](const std::string& path) {
    if (!*owners) owners->emplace(manifest);
    return (*owners)->of(path);
  };
}

Result<std::vector<StackLayer>> open_stack(const Context& context) {
  const std::vector<std::string> paths = context.input_list("images");
  const std::vector<std::string> indexes = context.input_list("indexes");
  if (indexes.size() != paths.size())
    return base::fail(base::ErrorKind::internal, "check-stack takes one index for each image");
  const Value* allow = context.parameters.find("allow");
  const std::vector<std::string> named = context.texts("allow_ready_made");
  const std::set<std::string> ready_made(named.begin(), named.end());
  ORCH_CHECK(image::check_override_names(ready_made));
  std::vector<StackLayer> out;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    ORCH_TRY(const std::vector<image::Layer> opened,
             image::open_layers({paths[i]}, {text_at(context.parameters, "names", i)}, context.cache_dir));
    if (opened.empty()) continue;
    StackLayer layer{opened.front(),
                     text_at(context.parameters, "roles", i),
                     text_at(context.parameters, "classes", i),
                     {},
                     manifest_of(context, i),
                     indexes[i]};
    if (layer.manifest.empty()) layer.allow = ready_made;
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

// Ready-made images (GPU layers among them) and those of a user's steps may replace what is below them, but hide
// nothing by mistake.
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
                            {"package", base::or_null(finding.package)},
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
  std::vector<image::Finding> of_packages;
  Value names = Value::array();
  std::size_t base_layers = 0;
  for (const StackLayer& layer : stack) {
    names.push(layer.layer.name);
    if (!below.empty()) {
      image::LayerCheck check;
      check.layer_class = class_of(layer);
      check.layer = layer.layer;
      check.overrides = layer.allow;
      check.package_of = package_names(layer.manifest);
      // Without a base nobody could have the interpreter.
      if (check.layer_class == image::LayerClass::deps && base_layers > 0) {
        ORCH_TRY(const auto index, read_index(layer.index));
        ORCH_TRY(const std::vector<elf::IndexedFile> files, elf::elf_files(*index));
        check.programs = elf::programs_of(files);
      }
      ORCH_TRY(const std::vector<image::Finding> found, image::check_in_stack(check, below, base_layers));
      findings.insert(findings.end(), found.begin(), found.end());
      if (!layer.manifest.empty()) of_packages.insert(of_packages.end(), found.begin(), found.end());
    }
    if (is_base(layer) && base_layers == below.size()) ++base_layers;
    below.push_back(layer.layer);
  }
  for (const image::Finding& finding : findings) context.log(finding.sentence);
  if (image::is_refused(of_packages)) return base::fail(image::refusal(of_packages));
  if (image::is_refused(findings)) return base::fail(image::refusal(findings, "[stack] allow"));
  return sys::write_atomic(context.outputs.at("check"),
                           format::to_json(Value::object({{"schema", "appimage-orch/stack-check/1"},
                                                          {"layers", std::move(names)},
                                                          {"findings", to_value(findings)}})));
}

}  // namespace orch::action
