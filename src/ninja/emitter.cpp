#include "ninja/emitter.hpp"

#include "base/text.hpp"
#include "ninja/writer.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <sys/stat.h>

#include <algorithm>
#include <functional>
#include <set>

namespace orch::ninja {

using base::ErrorKind;
using base::fail;
using model::Step;

namespace {

// Extraction and image writing use every core themselves; downloads share a line.
constexpr int k_heavy_depth = 1;
constexpr int k_network_depth = 2;

std::string leaf_path(const std::string& path, const std::string& root) {
  const std::optional<std::string> inside = root == "/" ? std::nullopt : sys::path_within(path, root);
  return inside ? "$root/" + escape_path(*inside) : escape_path(path);
}

// All files and folders of a directory leaf: ninja sees a tree only through them.
void add_tree(const std::string& folder, std::vector<std::string>& out) {
  out.push_back(folder);
  for (const std::string& name : sys::list_dir(folder).value_or(std::vector<std::string>{})) {
    const std::string path = folder + "/" + name;
    const auto info = sys::lstat_file(path);
    if (!info) continue;
    if (S_ISDIR(info->st_mode))
      add_tree(path, out);
    else if (S_ISREG(info->st_mode))
      out.push_back(path);
  }
}

struct Leaves {
  std::vector<std::string> paths;
  std::vector<std::string> in_trees;  // may vanish without an error
};

Result<Leaves> leaves_of(const Step& step, const plan::PlannedStep& planned) {
  Leaves out;
  for (std::size_t i = 0; i < step.inputs.size(); ++i) {
    const model::Leaf* leaf = std::get_if<model::Leaf>(&step.inputs[i].from);
    if (leaf == nullptr) continue;
    if (planned.spec.inputs[i].digest.ends_with(" tree"))
      add_tree(leaf->path, out.in_trees);
    else
      out.paths.push_back(leaf->path);
  }
  for (const std::vector<std::string>* list : {&out.paths, &out.in_trees})
    for (const std::string& path : *list)
      if (!can_write(path))
        return fail(
            ErrorKind::unsupported,
            fmt::format("the path '{}' has a line break or '|' in it, which ninja files cannot express",
                        base::printable(path)),
            "rename the file");
  return out;
}

std::string pool_of(const Step& step) {
  if (step.pool == "heavy" || step.pool == "network" || step.pool == "console") return step.pool;
  return {};
}

// "launch/NAME" and "preflight/NAME" are names for people; steps of users are reached by their id, which is
// unique.
std::string always_target(const Step& step) {
  if (step.builtin == "launch" || step.builtin == "preflight")
    return escape_path(step.builtin + "/" + step.profiles.front());
  return "always/" + step.id;
}

void write_header(Writer& out) {
  out.comment("made by appimage-orch; the next build writes it anew");
  out.variable("ninja_required_version", "1.8");
  out.variable("root", "root");
  out.variable("orch", "./orch");
  out.blank();
  out.pool("heavy", k_heavy_depth);
  out.pool("network", k_network_depth);
  out.blank();
  out.rule("step", {{"command", "exec $orch step $in"}, {"description", "$text"}, {"restat", "1"}});
  out.rule("always", {{"command", "exec $orch step $in"}, {"description", "$text"}, {"pool", "console"}});
  out.blank();
}

}  // namespace

Result<std::string> emit(const graph::Graph& graph, const plan::Plan& plan) {
  Writer out;
  write_header(out);
  std::vector<std::string> stamps;
  std::set<std::string> tree_parts;
  for (std::size_t i = 0; i < graph.steps.size(); ++i) {
    const Step& step = graph.steps[i];
    ORCH_TRY(const Leaves leaves, leaves_of(step, plan.steps[i]));
    std::vector<std::string> implicit;
    for (const std::string& path : leaves.paths) implicit.push_back(leaf_path(path, graph.root));
    for (const std::string& path : leaves.in_trees) {
      implicit.push_back(leaf_path(path, graph.root));
      tree_parts.insert(implicit.back());
    }
    for (const model::StepInput& input : step.inputs)
      if (const model::Upstream* from = std::get_if<model::Upstream>(&input.from))
        implicit.push_back("stamps/" + graph[from->step].id);
    std::sort(implicit.begin(), implicit.end());
    implicit.erase(std::unique(implicit.begin(), implicit.end()), implicit.end());
    const std::string spec = "steps/" + step.id + ".json";
    std::vector<std::pair<std::string, std::string>> variables = {{"text", escape_value(step.description)}};
    const bool always = step.cache == model::CachePolicy::never;
    if (!always && !pool_of(step).empty()) variables.emplace_back("pool", pool_of(step));
    const std::string target = always ? always_target(step) : "stamps/" + step.id;
    out.build(target, always ? "always" : "step", {spec}, implicit, variables);
    if (!always) stamps.push_back(target);
  }
  out.blank();
  for (const std::string& path : tree_parts) out.build(path, "phony", {}, {});
  out.build("all", "phony", stamps, {});
  out.default_target("all");
  return out.text();
}

}  // namespace orch::ninja
