// verify-stack: whether the application can start on its stack, as the dynamic loader would see it.
//   inputs      app: the index of the application's tree; layers[N]: the indexes of the stack, bottom first
//   parameters  names, roles: of the layers; library_path: LD_LIBRARY_PATH of the launch, "${appdir}" in it stands
//   for
//               the application's directory; require, ignore: sonames or paths; isa: the x86-64 level on
//               offer; launcher: "muvm" has FEX look for interpreters
//   outputs     report: "appimage-orch/linkage/1"
#include "action/context.hpp"
#include "action/index_parts.hpp"
#include "base/text.hpp"
#include "elf/linkage_report.hpp"
#include "format/json.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

namespace orch::action {

namespace {

// Where the application stands while it is looked at: reports are the same wherever it lies.
constexpr std::string_view k_appdir = "/AppDir";

Result<std::vector<elf::IndexedLayer>> read_layers(const Context& context) {
  const std::vector<std::string> paths = context.input_list("layers");
  const std::vector<std::string> names = context.texts("names");
  const std::vector<std::string> roles = context.texts("roles");
  std::vector<elf::IndexedLayer> layers;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    ORCH_TRY(auto index, read_index(paths[i]));
    if (index == nullptr) continue;
    layers.push_back({i < names.size() ? names[i] : fmt::format("layer {}", i), std::move(index),
                      i < roles.size() && roles[i] == "deps"});
  }
  if (!layers.empty()) return layers;
  // A stack without images has nothing of what the application needs.
  layers.push_back({"nothing", elf::Index::empty(), false});
  return layers;
}

std::vector<std::string> library_path(const std::string& text) {
  std::vector<std::string> out;
  for (const std::string_view part : base::split(text, ':')) {
    constexpr std::string_view k_variable = "${appdir}";
    std::string directory(part);
    if (part.starts_with(k_variable)) directory = std::string(k_appdir) + directory.substr(k_variable.size());
    if (!directory.empty()) out.push_back(std::move(directory));
  }
  return out;
}

}  // namespace

Result<> verify_stack(Context& context) {
  ORCH_TRY(const Input* const app, context.input("app"));
  ORCH_TRY(auto app_index, read_index(app->path));
  if (app_index == nullptr) app_index = elf::Index::empty();
  ORCH_TRY(const std::vector<elf::IndexedLayer> layers, read_layers(context));
  ORCH_TRY(const auto files, elf::StackFiles::make(layers, std::move(app_index), std::string(k_appdir)));
  elf::ReportOptions options;
  options.isa_level = static_cast<unsigned>(context.parameters.int_or("isa", 3));
  options.library_path = library_path(context.parameters.string_or("library_path", ""));
  options.threads = context.jobs;
  options.fex = context.parameters.string_or("launcher", "") == "muvm";
  options.require = context.texts("require");
  options.ignore = context.texts("ignore");
  ORCH_TRY(const elf::LinkageReport report, elf::report_linkage(*files, options));
  context.log(fmt::format("{} objects, {} missing: {}", report.objects.size(), report.missing.size(),
                          report.ok ? "the application can start" : "the application cannot start"));
  return sys::write_atomic(context.outputs.at("report"), format::to_json(elf::to_value(report)));
}

}  // namespace orch::action
