#include "cli/locked_images.hpp"

#include "sys/file.hpp"

#include <algorithm>
#include <map>
#include <utility>
#include <variant>

namespace orch::cli {

using model::Step;

namespace {

bool belongs_to(const Step& step, const model::Profile& profile) {
  return std::find(step.profiles.begin(), step.profiles.end(), profile.name) != step.profiles.end();
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

}  // namespace

std::vector<ImageStep> image_steps(const graph::Graph& graph, const model::Profile& profile) {
  std::vector<ImageStep> all;
  for (std::uint32_t i = 0; i < graph.steps.size(); ++i) {
    const Step& step = graph.steps[i];
    if (!belongs_to(step, profile) || item_of(step).empty()) continue;
    for (std::size_t k = 0; k < step.outputs.size(); ++k)
      if (step.outputs[k].provides == "item.image") all.push_back({item_of(step), model::StepIndex{i}, k});
  }
  // A step that turns a layer's image into another comes after the one that made it.
  std::vector<ImageStep> last;
  for (const ImageStep& item : all) {
    const bool replaced = std::any_of(all.begin(), all.end(), [&](const ImageStep& other) {
      return other.layer == item.layer && takes_from(graph.steps[other.step.value], item.step);
    });
    if (!replaced && graph.steps[item.step.value].rule != "fetch") last.push_back(item);
  }
  return last;
}

Result<std::vector<package::LockedImage>> finished_images(const Project& project,
                                                          const std::vector<ImageStep>& steps,
                                                          const plan::Plan& plan) {
  std::vector<package::LockedImage> images;
  for (const ImageStep& item : steps) {
    const plan::PlannedStep& planned = plan.steps[item.step.value];
    if (item.output >= planned.outputs.size())
      return base::fail(base::ErrorKind::step, "the image of layer '" + item.layer + "' is not built");
    const model::ArtifactRef& artifact = planned.outputs[item.output].artifact;
    package::LockedImage image;
    image.name = item.layer;
    ORCH_TRY(const struct stat info, sys::stat_file(project.store().data_path(artifact)));
    if (info.st_size == 0) continue;
    image.size = static_cast<std::uint64_t>(info.st_size);
    ORCH_TRY(const std::string sha256, project.store().sha256(artifact));
    image.sha256 = hash::Sha256::parse(sha256).value_or(hash::Sha256());
    images.push_back(std::move(image));
  }
  return images;
}

}  // namespace orch::cli
