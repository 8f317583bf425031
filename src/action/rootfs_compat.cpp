// rootfs-compat: a layer with the link that the loader's path lacks in base and GPU layers, and what was seen
// there either way. Zero bytes where nothing has to be linked.
//   inputs      images[N]: the layers below, bottom first
//   parameters  names: their names
//   tools       mkfs (mkfs.erofs; needed only if there is something to link)
//   outputs     image, observation: "appimage-orch/rootfs-compat/1"
#include "action/context.hpp"
#include "base/text.hpp"
#include "format/json.hpp"
#include "image/loader_link.hpp"
#include "image/merged_view.hpp"
#include "image/open_tree.hpp"
#include "image/small_image.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <utility>

namespace orch::action {

namespace {

using image::FexPath;
using image::LoaderObservation;

std::string_view outcome_name(FexPath::Outcome outcome) {
  switch (outcome) {
    case FexPath::Outcome::found:
      return "found";
    case FexPath::Outcome::missing:
      return "missing";
    case FexPath::Outcome::escapes:
      return "escapes";
    case FexPath::Outcome::loop:
      return "loop";
  }
  return "unknown";
}

Value links_value(const std::vector<image::LoaderLink>& links) {
  Value out = Value::array();
  for (const image::LoaderLink& link : links)
    out.push(Value::object({{"path", link.path}, {"target", link.target}}));
  return out;
}

Value loader_value(const LoaderObservation& seen) {
  Value out = Value::object();
  out.set("arch", seen.arch);
  out.set("path", seen.path);
  out.set("outcome", outcome_name(seen.found.outcome));
  out.set("at", base::or_null(seen.found.path));
  out.set("is", base::or_null(seen.found_kind));
  out.set("followed", Value::strings(seen.found.links));
  out.set("elsewhere", Value::strings(seen.elsewhere));
  out.set("decision", to_string(seen.decision));
  out.set("reason", seen.reason);
  out.set("links", links_value(seen.links));
  return out;
}

Value observation_value(const std::vector<image::Layer>& below, const std::vector<LoaderObservation>& seen,
                        bool needed) {
  Value layers = Value::array();
  for (const image::Layer& layer : below) layers.push(layer.name);
  Value loaders = Value::array();
  for (const LoaderObservation& one : seen) loaders.push(loader_value(one));
  return Value::object({{"schema", "appimage-orch/rootfs-compat/1"},
                        {"needed", needed},
                        {"layers", std::move(layers)},
                        {"loaders", std::move(loaders)}});
}

// The layer must do what it was made for: looks at the stack again with the image on top.
Result<> check_result(std::vector<image::Layer> layers, const std::vector<LoaderObservation>& seen,
                      const std::string& image) {
  ORCH_TRY(image::OpenedTree top, image::open_tree(image));
  layers.push_back({"compat", std::move(top.tree)});
  ORCH_TRY(const auto view, image::MergedView::make(std::move(layers)));
  ORCH_TRY(const std::vector<LoaderObservation> after, image::observe_loaders(*view));
  for (std::size_t i = 0; i < seen.size(); ++i)
    if (!seen[i].links.empty() && after[i].decision != LoaderObservation::Decision::resolves)
      return base::fail(base::ErrorKind::internal,
                        fmt::format("the links that were planned do not make '{}' resolve: {}", seen[i].path,
                                    after[i].reason));
  return {};
}

}  // namespace

Result<> rootfs_compat(Context& context) {
  ORCH_TRY(const std::vector<image::Layer> below,
           image::open_layers(context.input_list("images"), context.texts("names"), context.cache_dir));
  std::vector<LoaderObservation> seen;
  image::SmallTree tree;
  const std::string& image = context.outputs.at("image");
  if (below.empty()) {
    context.log("there is no layer below: nothing to look at");
    ORCH_CHECK(sys::write_atomic(image, ""));
  } else {
    // The view is that of an overlay: a layer may be laid upon it.
    ORCH_TRY(const auto view, image::MergedView::make(below, image::OneLayer::overlay));
    ORCH_TRY(seen, image::observe_loaders(*view));
    for (const LoaderObservation& one : seen) {
      context.log(fmt::format("{}: {}: {}", one.path, to_string(one.decision), one.reason));
      for (const image::LoaderLink& link : one.links) {
        context.log(
            fmt::format("link '{}' -> '{}'", base::printable(link.path), base::printable(link.target)));
        tree.emplace(link.path, image::SmallEntry{true, link.target, 0777});
      }
    }
    const image::SmallImageOrder order{context.tool("mkfs"),       "",    0,
                                       context.scratch + "/layer", image, context.jobs};
    ORCH_CHECK(image::write_small_image(tree, *view, order, *context.processes));
    if (!tree.empty()) ORCH_CHECK(check_result(below, seen, image));
  }
  return sys::write_atomic(context.outputs.at("observation"),
                           format::to_json(observation_value(below, seen, !tree.empty())));
}

}  // namespace orch::action
