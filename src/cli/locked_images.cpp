#include "cli/locked_images.hpp"

#include "base/text.hpp"
#include "package/apt_output.hpp"
#include "package/archive_cache.hpp"
#include "package/download.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>
#include <variant>

namespace orch::cli {

using base::Value;
using model::Step;

namespace {

bool belongs_to(const Step& step, const model::Profile& profile) {
  return std::find(step.profiles.begin(), step.profiles.end(), profile.name) != step.profiles.end();
}

bool is_recorded(const Value& layer) {
  return model::takes_packages(layer) || model::is_made_of_stack(layer);
}

// "PROFILE/RULE/LAYER" to "LAYER"; empty for a step that is of no item.
std::string item_of(const Step& step) {
  const std::size_t rule = step.slot.find("/" + step.rule);
  const std::size_t item = rule == std::string::npos ? rule : rule + 1 + step.rule.size();
  return item < step.slot.size() && step.slot[item] == '/' ? step.slot.substr(item + 1) : std::string();
}

bool takes_from(const Step& step, model::StepIndex other) {
  return std::any_of(step.inputs.begin(), step.inputs.end(), [&](const model::StepInput& input) {
    const auto* upstream = std::get_if<model::Upstream>(&input.from);
    return upstream != nullptr && upstream->step == other;
  });
}

// Where the profile's sources may have the image; those in folders only if they are there.
Value image_urls(const model::Profile& profile, const std::string& sha256) {
  Value urls = Value::array();
  const Value* sources = profile.value.find_path("stack.image_sources");
  if (sources == nullptr || !sources->is_array()) return urls;
  for (const Value& source : sources->as_array()) {
    std::string place = source.as_string();
    while (place.ends_with('/') && place.size() > 1) place.pop_back();
    const bool address = package::is_address(place);
    if (!address && !place.starts_with('/')) place = profile.directory + "/" + place;
    place += "/" + sha256 + ".erofs";
    if (address)
      urls.push(place);
    else if (sys::exists(place))
      urls.push("file://" + package::percent_encoded(place));
  }
  return urls;
}

// What identifies the content of a layer, whoever writes its image; nullopt where nothing does before it is there.
Result<std::optional<std::string>> content_of(const Value& layer, hash::StatCache& stat_cache) {
  const std::string kind = layer.string_or("kind", "");
  std::string known;
  if (model::takes_packages(layer)) {
    if (layer.find("locked") != nullptr) known = package::image_recipe(layer);
  } else if (kind == "url") {
    known = layer.string_or("sha256", "");
  } else if (const Value* image = layer.find("locked_image"); kind == "fex" && image != nullptr) {
    known = image->string_or("sha256", "");
  } else if (kind == "file") {
    const std::string path = layer.string_or("image", "");
    ORCH_TRY(const struct stat info, sys::stat_file(path));
    if (S_ISREG(info.st_mode)) {
      ORCH_TRY(const hash::Digest digest, stat_cache.digest(path));
      known = digest.hex();
    }
  }
  return known.empty() ? std::nullopt : std::optional(kind + ":" + known);
}

// What the image of a layer depends on, but for the tools; nullopt where that is not known before it is built. Steps of
// the user's may add layers, and put other images into the place of those that the profile names.
Result<std::optional<std::string>> recipe_of(const model::Profile& profile, const Value& layer,
                                             hash::StatCache& stat_cache) {
  if (model::takes_packages(layer)) return std::optional(package::image_recipe(layer));
  if (!profile.steps.empty()) return std::optional<std::string>();
  Value below = Value::array();
  for (const Value& other : profile.layers()) {
    if (&other == &layer) break;
    ORCH_TRY(const std::optional<std::string> content, model::is_made_of_stack(other)
                                                           ? recipe_of(profile, other, stat_cache)
                                                           : content_of(other, stat_cache));
    if (!content) return std::optional<std::string>();
    below.push(Value::strings({other.string_or("name", ""), *content}));
  }
  const Value recipe = Value::object({{"kind", layer.string_or("kind", "")}, {"below", std::move(below)}});
  return std::optional(hash::sha256_of(recipe.canonical()).hex());
}

struct Finished {
  std::string path;
  package::LockedImage image;  // without its recipe
};

// The artifacts of the steps; an error where one is not built. Images of no bytes are left out.
Result<std::vector<Finished>> artifacts_of(const Project& project, const std::vector<ImageStep>& steps,
                                           const plan::Plan& plan) {
  std::vector<Finished> out;
  for (const ImageStep& item : steps) {
    const plan::PlannedStep& planned = plan.steps[item.step.value];
    if (item.output >= planned.outputs.size())
      return base::fail(base::ErrorKind::step, "the image of layer '" + item.layer + "' is not built");
    const model::ArtifactRef& artifact = planned.outputs[item.output].artifact;
    Finished finished;
    finished.path = project.store().data_path(artifact);
    ORCH_TRY(const struct stat info, sys::stat_file(finished.path));
    if (info.st_size == 0) continue;
    ORCH_TRY(const std::string sha256, project.store().sha256(artifact));
    finished.image.name = item.layer;
    finished.image.size = static_cast<std::uint64_t>(info.st_size);
    finished.image.sha256 = hash::Sha256::parse(sha256).value_or(hash::Sha256());
    out.push_back(std::move(finished));
  }
  return out;
}

}  // namespace

std::vector<ImageStep> image_steps(const graph::Graph& graph, const model::Profile& profile) {
  std::set<std::string> made;
  for (const Value& layer : profile.layers())
    if (is_recorded(layer)) made.insert(layer.string_or("name", ""));
  std::vector<ImageStep> all;
  for (std::uint32_t i = 0; i < graph.steps.size(); ++i) {
    const Step& step = graph.steps[i];
    if (!belongs_to(step, profile) || !made.contains(item_of(step))) continue;
    for (std::size_t k = 0; k < step.outputs.size(); ++k)
      if (step.outputs[k].provides == "item.image") all.push_back({item_of(step), model::StepIndex{i}, k});
  }
  // A step that turns a layer's image into another comes after the one that made it.
  std::vector<ImageStep> last;
  for (const ImageStep& item : all) {
    const bool replaced = std::any_of(all.begin(), all.end(), [&](const ImageStep& other) {
      return other.layer == item.layer && takes_from(graph.steps[other.step.value], item.step);
    });
    if (!replaced) last.push_back(item);
  }
  return last;
}

Result<std::vector<package::LockedImage>> finished_images(Project& project, const model::Profile& profile,
                                                          const std::vector<ImageStep>& steps,
                                                          const plan::Plan& plan) {
  ORCH_TRY(std::vector<Finished> all, artifacts_of(project, steps, plan));
  std::vector<package::LockedImage> images;
  for (Finished& item : all)
    for (const Value& layer : profile.layers()) {
      if (layer.string_or("name", "") != item.image.name) continue;
      ORCH_TRY(std::optional<std::string> recipe, recipe_of(profile, layer, project.stat_cache()));
      if (!recipe) continue;
      item.image.recipe = *std::move(recipe);
      images.push_back(std::move(item.image));
      break;
    }
  return images;
}

Result<> export_images(const Project& project, const std::vector<ImageStep>& steps, const plan::Plan& plan,
                       const std::string& folder) {
  ORCH_TRY(const std::vector<Finished> all, artifacts_of(project, steps, plan));
  ORCH_CHECK(sys::make_dirs(folder));
  for (const Finished& item : all) {
    const std::string target = folder + "/" + item.image.sha256.hex() + ".erofs";
    if (!sys::exists(target)) ORCH_CHECK(package::copy_file(item.path, target));
  }
  return {};
}

Result<> take_finished_images(model::Profile& profile, hash::StatCache& stat_cache,
                              const std::string& cache_dir, bool rebuild) {
  for (Value& layer : profile.layers()) {
    if (!is_recorded(layer)) continue;
    layer.set("made", "here");
    const Value* image = layer.find("locked_image");
    if (image == nullptr || rebuild) continue;
    if (model::is_made_of_stack(layer)) {
      ORCH_TRY(const std::optional<std::string> recipe, recipe_of(profile, layer, stat_cache));
      if (!recipe || *recipe != image->string_or("recipe", "")) {
        layer.erase("locked_image");
        continue;
      }
    }
    const std::string sha256 = image->string_or("sha256", "");
    Value urls = image_urls(profile, sha256);
    const auto digest = hash::Sha256::parse(sha256);
    if (urls.as_array().empty() && !(digest && sys::exists(package::download_path(cache_dir, *digest))))
      continue;
    layer.set("made", "elsewhere");
    layer.set("image_urls", std::move(urls));
  }
  return {};
}

Result<std::vector<std::string>> different_images(const Project& project, const model::Profile& profile,
                                                  const plan::Plan& plan) {
  std::vector<std::string> out;
  for (const Value& layer : profile.layers()) {
    const Value* locked = layer.find("locked_image");
    if (locked == nullptr || layer.string_or("made", "") != "here") continue;
    for (const ImageStep& item : image_steps(project.graph(), profile)) {
      const plan::PlannedStep& planned = plan.steps[item.step.value];
      if (item.layer != layer.string_or("name", "") || item.output >= planned.outputs.size()) continue;
      ORCH_TRY(const std::string sha256, project.store().sha256(planned.outputs[item.output].artifact));
      if (sha256 == locked->string_or("sha256", "")) continue;
      out.push_back(
          fmt::format("warning: the image of layer '{}' is not the one of the lock file: other tools than "
                      "those there made it ('lock --images' records this one, stack.image_sources "
                      "says where the other one is)",
                      base::printable(item.layer)));
    }
  }
  return out;
}

}  // namespace orch::cli
