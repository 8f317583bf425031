// finish-stack: the last layer of a stack, with caches made from the merged view of all layers below it. Zero
// bytes where every cache is there already or not needed. docs/design/layers.md
//   inputs      images[N]: the layers below, bottom first
//   parameters  names: their names; compressor, cluster
//   tools       mkfs (mkfs.erofs; needed only if there is something to write); those of the parts (optional)
//   outputs     image, finish: "appimage-orch/finish/1"
#include "action/context.hpp"
#include "action/finish_parts.hpp"
#include "format/json.hpp"
#include "image/merged_view.hpp"
#include "image/open_tree.hpp"
#include "image/small_image.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace orch::action {

namespace {

constexpr std::array<FinishPart, 9> k_parts = {
    finish_library_cache, finish_schemas, finish_mime,        finish_pixbuf_loaders, finish_input_methods,
    finish_icons,         finish_fonts,   finish_gio_modules, finish_desktop_entries};

Value report_value(const FinishReport& report) {
  Value out = Value::object();
  out.set("id", report.id);
  out.set("status", to_string(report.status));
  out.set("detail", report.detail);
  out.set("remedy", base::or_null(report.remedy));
  out.set("files", Value::strings(report.files));
  out.set("notes", Value::strings(report.notes));
  return out;
}

}  // namespace

std::string_view to_string(FinishReport::Status status) {
  switch (status) {
    case FinishReport::Status::made:
      return "made";
    case FinishReport::Status::current:
      return "current";
    case FinishReport::Status::not_needed:
      return "not-needed";
    case FinishReport::Status::not_done:
      return "not-done";
  }
  return "unknown";
}

Result<> finish_stack(Context& context) {
  ORCH_TRY(const std::vector<image::Layer> below,
           image::open_layers(context.input_list("images"), context.texts("names"), context.cache_dir));
  const std::string& image = context.outputs.at("image");
  Value parts = Value::array();
  image::SmallTree tree;
  if (below.empty()) {
    context.log("there is no layer below: nothing to finish");
    ORCH_CHECK(sys::write_atomic(image, ""));
  } else {
    ORCH_TRY(const auto view, image::MergedView::make(below, image::OneLayer::overlay));
    const FinishStack stack{context, *view};
    for (const FinishPart part : k_parts) {
      ORCH_TRY(const FinishReport report, part(stack, tree));
      context.log(fmt::format("{}: {}: {}", report.id, to_string(report.status), report.detail));
      if (!report.remedy.empty()) context.log("  " + report.remedy);
      parts.push(report_value(report));
    }
    const image::SmallImageOrder order{context.tool("mkfs"),
                                       context.parameters.string_or("compressor", ""),
                                       static_cast<std::uint64_t>(context.parameters.int_or("cluster", 0)),
                                       context.scratch + "/layer",
                                       image,
                                       context.jobs};
    ORCH_CHECK(image::write_small_image(tree, *view, order, *context.processes));
  }
  Value layers = Value::array();
  for (const image::Layer& layer : below) layers.push(layer.name);
  const Value document = Value::object({{"schema", "appimage-orch/finish/1"},
                                        {"layers", std::move(layers)},
                                        {"entries", static_cast<std::uint64_t>(tree.size())},
                                        {"parts", std::move(parts)}});
  return sys::write_atomic(context.outputs.at("finish"), format::to_json(document));
}

}  // namespace orch::action
