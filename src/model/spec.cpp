#include "model/spec.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <charconv>

namespace orch::model {

using base::fail;
using base::Result;
using base::Value;

namespace {

base::Error malformed(std::string_view name) {
  return base::Error(base::ErrorKind::corrupt,
                     "'" + base::printable(name) + "' does not have the form it should have",
                     "it will be written anew by the next build");
}

Value outputs_value(const std::vector<OutputRecord>& outputs) {
  Value list = Value::array();
  for (const OutputRecord& output : outputs)
    list.push(Value::object({{"name", output.name},
                             {"kind", to_string(output.artifact.kind)},
                             {"digest", output.artifact.digest.hex()}}));
  return list;
}

SpecTool tool_from_value(const Value& item) {
  SpecTool tool;
  tool.rule.name = item.string_or("name", "");
  tool.rule.program = item.string_or("program", "");
  tool.rule.identity = item.string_or("method", "digest");
  tool.rule.package_hint = item.string_or("package", "");
  tool.rule.optional = item.bool_or("optional", false);
  if (const Value* words = item.find("version_args"); words != nullptr && words->is_array())
    for (const Value& word : words->as_array())
      if (word.is_string()) tool.rule.version_args.push_back(word.as_string());
  tool.path = item.string_or("path", "");
  tool.identity = item.string_or("identity", "");
  return tool;
}

}  // namespace

Result<std::vector<OutputRecord>> outputs_from_value(const Value* value, std::string_view name) {
  std::vector<OutputRecord> outputs;
  if (value == nullptr || !value->is_array()) return fail(malformed(name));
  for (const Value& item : value->as_array()) {
    const std::optional<ArtifactKind> kind = parse_artifact_kind(item.string_or("kind", ""));
    const std::optional<hash::Digest> digest = hash::Digest::parse(item.string_or("digest", ""));
    if (!kind || !digest) return fail(malformed(name));
    outputs.push_back({item.string_or("name", ""), {*kind, *digest}});
  }
  return outputs;
}

Value to_value(const std::vector<OutputRecord>& outputs) {
  return outputs_value(outputs);
}

Value to_value(const StepSpec& spec) {
  Value inputs = Value::array();
  for (const SpecInput& input : spec.inputs) {
    if (input.upstream.empty())
      inputs.push(Value::object({{"name", input.name}, {"path", input.path}, {"digest", input.digest}}));
    else
      inputs.push(
          Value::object({{"name", input.name}, {"upstream", input.upstream}, {"output", input.output}}));
  }
  Value tools = Value::array();
  for (const SpecTool& tool : spec.tools)
    tools.push(Value::object({{"name", tool.rule.name},
                              {"program", tool.rule.program},
                              {"method", tool.rule.identity},
                              {"version_args", Value::strings(tool.rule.version_args)},
                              {"package", tool.rule.package_hint},
                              {"optional", tool.rule.optional},
                              {"path", tool.path},
                              {"identity", tool.identity}}));
  Value outputs = Value::array();
  for (const RuleOutput& output : spec.outputs)
    outputs.push(Value::object({{"name", output.name}, {"kind", to_string(output.kind)}}));
  return Value::object({{"schema", "appimage-orch/step/1"},
                        {"id", spec.id},
                        {"rule", spec.rule},
                        {"rule_version", spec.rule_version},
                        {"description", spec.description},
                        {"builtin", spec.builtin},
                        {"command", Value::strings(spec.command)},
                        {"cache", spec.cache == CachePolicy::content ? "content" : "never"},
                        {"inputs", inputs},
                        {"parameters", spec.parameters},
                        {"settings", spec.settings},
                        {"tools", tools},
                        {"outputs", outputs},
                        {"store", spec.store},
                        {"stat_cache", spec.stat_cache}});
}

Result<StepSpec> spec_from_value(const Value& value, std::string_view name) {
  for (const char* list : {"inputs", "tools", "outputs", "command"})
    if (const Value* found = value.find(list); found == nullptr || !found->is_array())
      return fail(malformed(name));
  if (value.string_or("schema", "") != "appimage-orch/step/1") return fail(malformed(name));
  StepSpec spec;
  spec.id = value.string_or("id", "");
  spec.rule = value.string_or("rule", "");
  spec.rule_version = static_cast<int>(value.int_or("rule_version", 1));
  spec.description = value.string_or("description", "");
  spec.builtin = value.string_or("builtin", "");
  spec.cache = value.string_or("cache", "") == "never" ? CachePolicy::never : CachePolicy::content;
  spec.store = value.string_or("store", "");
  spec.stat_cache = value.string_or("stat_cache", "");
  for (const Value& word : value.find("command")->as_array())
    if (word.is_string()) spec.command.push_back(word.as_string());
  for (const Value& item : value.find("inputs")->as_array())
    spec.inputs.push_back({item.string_or("name", ""), item.string_or("path", ""),
                           item.string_or("digest", ""), item.string_or("upstream", ""),
                           item.string_or("output", "")});
  for (const Value& item : value.find("tools")->as_array()) spec.tools.push_back(tool_from_value(item));
  for (const Value& item : value.find("outputs")->as_array()) {
    RuleOutput output;
    output.name = item.string_or("name", "");
    const std::optional<ArtifactKind> kind = parse_artifact_kind(item.string_or("kind", ""));
    if (!kind) return fail(malformed(name));
    output.kind = *kind;
    spec.outputs.push_back(std::move(output));
  }
  if (const Value* parameters = value.find("parameters")) spec.parameters = *parameters;
  if (const Value* settings = value.find("settings")) spec.settings = *settings;
  if (spec.id.empty() || !spec.parameters.is_object() || !spec.settings.is_object())
    return fail(malformed(name));
  return spec;
}

Value to_value(const Stamp& stamp) {
  Value items = Value::array();
  for (const hash::KeyItem& item : stamp.items)
    items.push(Value(Value::Array{item.kind, item.name, item.value}));
  return Value::object({{"schema", "appimage-orch/stamp/1"},
                        {"id", stamp.id},
                        {"key", stamp.key.hex()},
                        {"outputs", outputs_value(stamp.outputs)},
                        {"items", items},
                        {"boot_id", stamp.boot_id}});
}

Result<Stamp> stamp_from_value(const Value& value, std::string_view name) {
  Stamp stamp;
  if (value.string_or("schema", "") != "appimage-orch/stamp/1") return fail(malformed(name));
  stamp.id = value.string_or("id", "");
  const std::optional<hash::Digest> key = hash::Digest::parse(value.string_or("key", ""));
  if (!key) return fail(malformed(name));
  stamp.key = *key;
  ORCH_TRY(stamp.outputs, outputs_from_value(value.find("outputs"), name));
  stamp.boot_id = value.string_or("boot_id", "");
  const Value* items = value.find("items");
  if (items == nullptr || !items->is_array()) return fail(malformed(name));
  for (const Value& item : items->as_array()) {
    if (!item.is_array() || item.as_array().size() != 3) return fail(malformed(name));
    const auto text = [&](std::size_t i) {
      const Value& field = item.as_array()[i];
      return field.is_string() ? field.as_string() : std::string();
    };
    stamp.items.push_back({text(0), text(1), text(2)});
  }
  return stamp;
}

bool answers(const std::vector<OutputRecord>& records, const std::vector<RuleOutput>& declared) {
  return std::equal(records.begin(), records.end(), declared.begin(), declared.end(),
                    [](const OutputRecord& record, const RuleOutput& output) {
                      return record.name == output.name && record.artifact.kind == output.kind;
                    });
}

hash::KeyHasher compute_key(const StepSpec& spec, const std::vector<KeyInput>& inputs) {
  hash::KeyHasher hasher;
  hasher.add("rule", spec.rule, std::to_string(spec.rule_version));
  if (!spec.builtin.empty()) hasher.add("action", "builtin", spec.builtin);
  for (std::size_t i = 0; i < spec.command.size(); ++i)
    hasher.add("action", "word " + std::to_string(i), spec.command[i]);
  std::vector<const Value::Member*> parameters;
  if (spec.parameters.is_object())
    for (const Value::Member& member : spec.parameters.as_object()) parameters.push_back(&member);
  std::sort(parameters.begin(), parameters.end(), [](auto* a, auto* b) { return a->key < b->key; });
  for (const Value::Member* member : parameters)
    hasher.add("parameter", member->key, member->value.canonical());
  for (const SpecTool& tool : spec.tools) hasher.add("tool", tool.rule.name, tool.identity);
  for (const KeyInput& input : inputs)
    hasher.add("input", input.name, std::string(to_string(input.kind)) + ":" + input.digest.hex());
  for (const RuleOutput& output : spec.outputs) hasher.add("output", output.name, to_string(output.kind));
  return hasher;
}

}  // namespace orch::model
