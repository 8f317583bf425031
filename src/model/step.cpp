#include "model/step.hpp"

#include "hash/key_hasher.hpp"

#include <string>

namespace orch::model {

namespace {

// Rule ids of user steps hold a ':'; ids are file names and ninja paths.
std::string file_safe(std::string_view rule) {
  std::string out;
  for (const char c : rule) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    out += plain ? c : '-';
  }
  return out;
}

}  // namespace

std::string step_id(const Step& step, const std::vector<std::string>& upstream_ids) {
  hash::KeyHasher hasher;
  hasher.add("rule", step.rule, std::to_string(step.rule_version));
  hasher.add("action", "builtin", step.builtin);
  for (const std::string& word : step.command) hasher.add("action", "word", word);
  for (const StepParameter& parameter : step.parameters)
    hasher.add("parameter", parameter.name, parameter.value.canonical());
  for (const RuleTool& tool : step.tools) hasher.add("tool", tool.name, tool.program + "\n" + tool.identity);
  for (std::size_t i = 0; i < step.inputs.size(); ++i) {
    const StepInput& input = step.inputs[i];
    if (const Leaf* leaf = std::get_if<Leaf>(&input.from))
      hasher.add("leaf", input.name, leaf->logical);
    else
      hasher.add("upstream", input.name,
                 upstream_ids[i] + "\n" + std::to_string(std::get<Upstream>(input.from).output));
  }
  for (const RuleOutput& output : step.outputs) hasher.add("output", output.name, to_string(output.kind));
  if (step.cache == CachePolicy::never) hasher.add("slot", "", step.slot);
  return file_safe(step.rule) + "-" + hasher.key().hex().substr(0, 12);
}

}  // namespace orch::model
