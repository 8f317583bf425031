#include "plan/plan.hpp"

#include "base/text.hpp"
#include "sys/process.hpp"

#include <fmt/format.h>

#include <sys/stat.h>

#include <algorithm>

namespace orch::plan {

using base::Error;
using base::ErrorKind;
using base::fail;
using model::KeyInput;
using model::Step;

std::string_view to_string(Status status) {
  switch (status) {
    case Status::fresh:
      return "fresh";
    case Status::cached:
      return "cached";
    case Status::stale:
      return "stale";
    case Status::pending:
      return "pending";
    case Status::always:
      return "always";
  }
  return "stale";
}

namespace {

struct LeafDigest {
  model::ArtifactKind kind = model::ArtifactKind::file;
  hash::Digest digest;
};

Result<LeafDigest> digest_leaf(const std::string& path, hash::StatCache& stat_cache) {
  ORCH_TRY(const struct stat info, sys::stat_file(path));
  LeafDigest out;
  if (S_ISDIR(info.st_mode)) {
    out.kind = model::ArtifactKind::tree;
    ORCH_TRY(out.digest, stat_cache.tree_digest(path));
  } else {
    ORCH_TRY(out.digest, stat_cache.digest(path));
  }
  return out;
}

Result<model::StepSpec> make_spec(const graph::Graph& graph, const Step& step, const Surroundings& around) {
  model::StepSpec spec;
  spec.id = step.id;
  spec.rule = step.rule;
  spec.rule_version = step.rule_version;
  spec.description = step.description;
  spec.builtin = step.builtin;
  spec.command = step.command;
  spec.cache = step.cache;
  spec.parameters = base::Value::object();
  for (const model::StepParameter& parameter : step.parameters)
    spec.parameters.set(parameter.name, parameter.value);
  spec.settings = base::Value::object();
  for (const model::StepParameter& setting : step.settings) spec.settings.set(setting.name, setting.value);
  spec.outputs = step.outputs;
  spec.store = around.store.root();
  spec.stat_cache = around.stat_cache_path;
  for (const model::RuleTool& tool : step.tools) {
    ORCH_TRY(model::SpecTool found, around.tools.find(tool));
    spec.tools.push_back(std::move(found));
  }
  for (const model::StepInput& input : step.inputs) {
    model::SpecInput out;
    out.name = input.name;
    if (const model::Leaf* leaf = std::get_if<model::Leaf>(&input.from)) {
      out.path = leaf->path;
      Result<LeafDigest> digest = digest_leaf(leaf->path, around.stat_cache);
      if (!digest) {
        Error error = std::move(digest.error());
        if (error.hint.empty()) error.hint = "check the path, or take the file out of the profile";
        if (input.span.file) error.where = input.span;
        return fail(std::move(error).while_doing(
            fmt::format("reading input '{}' of step '{}'", input.name, step.rule)));
      }
      out.digest = digest->digest.hex();
      if (digest->kind == model::ArtifactKind::tree) out.digest += " tree";
    } else {
      const model::Upstream& from = std::get<model::Upstream>(input.from);
      out.upstream = graph[from.step].id;
      out.output = graph[from.step].outputs[from.output].name;
    }
    spec.inputs.push_back(std::move(out));
  }
  return spec;
}

std::optional<KeyInput> leaf_input(const model::SpecInput& input) {
  const bool tree = input.digest.ends_with(" tree");
  const std::optional<hash::Digest> digest =
      hash::Digest::parse(std::string_view(input.digest).substr(0, 32));
  if (!digest) return std::nullopt;
  return KeyInput{input.name, tree ? model::ArtifactKind::tree : model::ArtifactKind::file, *digest};
}

// What differs between two keys, item by item. Items have unique (kind, name).
std::vector<Reason> differences(const std::vector<hash::KeyItem>& before,
                                const std::vector<hash::KeyItem>& after) {
  std::vector<Reason> out;
  const auto find = [](const std::vector<hash::KeyItem>& items, const hash::KeyItem& wanted) {
    return std::find_if(items.begin(), items.end(), [&](const hash::KeyItem& item) {
      return item.kind == wanted.kind && item.name == wanted.name;
    });
  };
  for (const hash::KeyItem& item : after) {
    const auto old = find(before, item);
    if (old == before.end())
      out.push_back({item.kind, item.name, "", item.value});
    else if (old->value != item.value)
      out.push_back({item.kind, item.name, old->value, item.value});
  }
  for (const hash::KeyItem& item : before)
    if (find(after, item) == after.end()) out.push_back({item.kind, item.name, item.value, ""});
  return out;
}

class Planner {
 public:
  Planner(const graph::Graph& graph, const Surroundings& around)
      : graph_(graph), around_(around), index_(around.folder.read_index()) {}

  Result<Plan> run() {
    plan_.steps.resize(graph_.steps.size());
    for (std::size_t i = 0; i < graph_.steps.size(); ++i) ORCH_CHECK(decide(graph_.steps[i], plan_.steps[i]));
    return std::move(plan_);
  }

 private:
  // The inputs' digests; nullopt (and reasons) while upstream steps have yet to execute.
  std::optional<std::vector<KeyInput>> known_inputs(const Step& step, PlannedStep& out) const {
    std::vector<KeyInput> inputs;
    bool known = true;
    for (std::size_t i = 0; i < step.inputs.size(); ++i) {
      const model::Upstream* from = std::get_if<model::Upstream>(&step.inputs[i].from);
      if (from == nullptr) {
        if (std::optional<KeyInput> input = leaf_input(out.spec.inputs[i])) inputs.push_back(*input);
        continue;
      }
      const PlannedStep& upstream = plan_.steps[from->step.value];
      if (upstream.status == Status::fresh || upstream.status == Status::cached) {
        const model::ArtifactRef& artifact = upstream.outputs[from->output].artifact;
        inputs.push_back({step.inputs[i].name, artifact.kind, artifact.digest});
        continue;
      }
      known = false;
      const std::string& id = graph_[from->step].id;
      const bool said = std::any_of(out.reasons.begin(), out.reasons.end(),
                                    [&](const Reason& reason) { return reason.what == id; });
      if (!said) out.reasons.push_back({"upstream", id, "", ""});
    }
    if (!known) return std::nullopt;
    return inputs;
  }

  std::optional<model::Stamp> stamp_before(const Step& step) const {
    if (std::optional<model::Stamp> stamp = around_.folder.last_stamp(step.id)) return stamp;
    const auto found = index_.find(step.slot);
    if (found == index_.end()) return std::nullopt;
    return around_.folder.last_stamp(found->second);
  }

  void explain(const Step& step, PlannedStep& out) const {
    const std::optional<model::Stamp> before = stamp_before(step);
    if (!before) {
      out.reasons.push_back({"new", "never built here", "", ""});
      return;
    }
    for (Reason& reason : differences(before->items, out.items)) out.reasons.push_back(std::move(reason));
  }

  Result<> decide(const Step& step, PlannedStep& out) {
    ORCH_TRY(out.spec, make_spec(graph_, step, around_));
    const std::optional<std::vector<KeyInput>> inputs = known_inputs(step, out);
    if (step.cache == model::CachePolicy::never) {
      out.status = Status::always;
      out.reasons.assign(1, {"never", "not cached by its rule", "", ""});
      if (inputs) {
        const hash::KeyHasher hasher = model::compute_key(out.spec, *inputs);
        out.key = hasher.key();
        out.items = hasher.items();
      }
      return {};
    }
    if (!step.unresolved.empty()) out.reasons.push_back({"lock", step.unresolved, "", ""});
    if (!inputs || !step.unresolved.empty()) {
      out.status = inputs ? Status::stale : Status::pending;
      return {};
    }
    const hash::KeyHasher hasher = model::compute_key(out.spec, *inputs);
    out.key = hasher.key();
    out.items = hasher.items();
    return look_up(step, out);
  }

  Result<> look_up(const Step& step, PlannedStep& out) {
    const store::BuildFolder::StampFile stamp = around_.folder.read_stamp(step.id);
    const bool answers = stamp.stamp && stamp.stamp->key == *out.key &&
                         model::answers(stamp.stamp->outputs, step.outputs) &&
                         all_there(stamp.stamp->outputs);
    if (answers && stamp.stamp->boot_id == sys::boot_id()) {
      out.status = Status::fresh;
      out.outputs = stamp.stamp->outputs;
      return {};
    }
    ORCH_TRY(store::LookupResult found, around_.store.lookup(*out.key, around_.repair));
    if (found.outcome == store::Lookup::hit && !model::answers(found.record.outputs, step.outputs))
      found.outcome = store::Lookup::torn_record;
    // From an earlier boot: as fresh as ever, now that the store has looked whether power loss tore it.
    if (answers && found.outcome == store::Lookup::hit && found.record.outputs == stamp.stamp->outputs) {
      out.status = Status::fresh;
      out.outputs = std::move(found.record.outputs);
      return {};
    }
    if (stamp.state == store::BuildFolder::StampState::torn)
      out.reasons.push_back({"stamp", "the stamp is unreadable", "", ""});
    else
      explain(step, out);
    switch (found.outcome) {
      case store::Lookup::hit:
        out.status = Status::cached;
        out.outputs = std::move(found.record.outputs);
        if (out.reasons.empty()) out.reasons.push_back({"restored", "its result is in the store", "", ""});
        return {};
      case store::Lookup::torn_record:
        out.reasons.push_back({"record", "the action-cache record is unreadable", "", ""});
        break;
      case store::Lookup::artifact_missing:
        out.reasons.push_back({"artifact", "its artifact is gone from the store", "", ""});
        break;
      case store::Lookup::artifact_corrupt:
        out.reasons.push_back({"artifact", "its artifact did not hold against its manifest", "", ""});
        break;
      case store::Lookup::absent:
        if (out.reasons.empty())
          out.reasons.push_back({"record", "the action cache does not know its key", "", ""});
        break;
    }
    out.status = Status::stale;
    return {};
  }

  bool all_there(const std::vector<model::OutputRecord>& outputs) const {
    return std::all_of(outputs.begin(), outputs.end(),
                       [&](const model::OutputRecord& output) { return around_.store.has(output.artifact); });
  }

  const graph::Graph& graph_;
  const Surroundings& around_;
  store::BuildFolder::Index index_;
  Plan plan_;
};

}  // namespace

Result<Plan> make_plan(const graph::Graph& graph, const Surroundings& surroundings) {
  return Planner(graph, surroundings).run();
}

Result<std::vector<KeyInput>> leaf_and_stamp_digests(const model::StepSpec& spec,
                                                     const store::BuildFolder& folder,
                                                     hash::StatCache& stat_cache) {
  std::vector<KeyInput> inputs;
  for (const model::SpecInput& input : spec.inputs) {
    if (input.upstream.empty()) {
      ORCH_TRY(const LeafDigest leaf, digest_leaf(input.path, stat_cache));
      inputs.push_back({input.name, leaf.kind, leaf.digest});
      continue;
    }
    const store::BuildFolder::StampFile stamp = folder.read_stamp(input.upstream);
    if (!stamp.stamp)
      return fail(ErrorKind::step, fmt::format("step '{}' has left no stamp", input.upstream),
                  "run 'appimage-orch build' again");
    const auto output =
        std::find_if(stamp.stamp->outputs.begin(), stamp.stamp->outputs.end(),
                     [&](const model::OutputRecord& record) { return record.name == input.output; });
    if (output == stamp.stamp->outputs.end())
      return fail(ErrorKind::internal,
                  fmt::format("step '{}' has no output '{}'", input.upstream, input.output));
    inputs.push_back({input.name, output->artifact.kind, output->artifact.digest});
  }
  return inputs;
}

}  // namespace orch::plan
