#include "load/rule_reader.hpp"

#include "base/text.hpp"
#include "load/keys.hpp"
#include "load/schema.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace orch::load {

using base::Error;
using base::printable;
using base::SourceSpan;
using model::Rule;
using model::RuleInput;
using model::RuleOutput;
using model::RuleParameter;
using model::RuleTool;

namespace {

std::vector<std::string> strings_of(const Value* list) {
  std::vector<std::string> out;
  if (list == nullptr) return out;
  for (const Value& item : list->as_array()) out.push_back(item.as_string());
  return out;
}

template <class T>
T* find_named(std::vector<T>& list, std::string_view name) {
  const auto at = std::find_if(list.begin(), list.end(), [&](const T& item) { return item.name == name; });
  return at == list.end() ? nullptr : &*at;
}

template <class T>
std::vector<std::string> names_of(const std::vector<T>& list) {
  std::vector<std::string> out;
  for (const T& item : list) out.push_back(item.name);
  return out;
}

// Whether names that are not there yet are added (a rule) or refused (a step over a rule).
enum class Mode { define, override };

template <class T>
Result<T*> place_for(std::vector<T>& list, const Value::Member& member, std::string_view kind, Mode mode) {
  if (T* present = find_named(list, member.key)) return present;
  if (mode == Mode::override)
    return base::fail(profile_error(fmt::format("the rule has no {} '{}'", kind, printable(member.key)),
                                    member.key_span,
                                    suggestion(member.key, names_of(list), fmt::format("its {}s", kind))));
  list.emplace_back();
  list.back().name = member.key;
  return &list.back();
}

Result<> read_inputs(const Value& table, Rule& rule, Mode mode) {
  for (const Value::Member& member : table.as_object()) {
    ORCH_TRY(RuleInput * input, place_for(rule.inputs, member, "input", mode));
    const Value& from = member.value;
    RuleInput read;
    read.name = member.key;
    read.value = from.string_or("value", "");
    read.step = from.string_or("step", "");
    read.output = from.string_or("output", "");
    read.file = from.string_or("file", "");
    read.optional = from.bool_or("optional", input->optional);
    read.span = from.span;
    for (const char* source : {"value", "step", "file"})
      if (const Value* named = from.find(source)) read.span = named->span;
    const int sources =
        (read.value.empty() ? 0 : 1) + (read.step.empty() ? 0 : 1) + (read.file.empty() ? 0 : 1);
    if (sources != 1)
      return base::fail(
          profile_error(fmt::format("input '{}' needs exactly one of 'value', 'step', 'file'", member.key),
                        member.key_span, "for example { value = \"app.tree\" }"));
    if (!read.output.empty() && read.step.empty())
      return base::fail(profile_error("'output' goes with 'step'", from.find("output")->span, "remove it"));
    if (!read.file.empty() && !read.optional && !sys::stat_file(read.file))
      return base::fail(profile_error(fmt::format("there is no file '{}'", printable(read.file)), read.span,
                                      "a relative path is taken from the folder of this file"));
    *input = std::move(read);
  }
  return {};
}

bool has_type(const Value& value, std::string_view type) {
  if (type == "string") return value.is_string();
  if (type == "integer") return value.is_int();
  if (type == "boolean") return value.is_bool();
  if (type == "strings")
    return value.is_array() && std::all_of(value.as_array().begin(), value.as_array().end(),
                                           [](const Value& item) { return item.is_string(); });
  return true;
}

// A table is { value | literal, default, type }; anything else is a literal.
Result<RuleParameter> read_parameter(const Value::Member& member) {
  RuleParameter out;
  out.name = member.key;
  out.span = member.value.span;
  if (!member.value.is_object()) {
    out.literal = member.value;
    return out;
  }
  const Value& table = member.value;
  ORCH_CHECK(check(table, parameter_schema(), Append::no));
  out.value = table.string_or("value", "");
  out.type = table.string_or("type", "any");
  const Value* literal = table.find("literal");
  const Value* fallback = table.find("default");
  if (out.value.empty() == (literal == nullptr))
    return base::fail(profile_error(fmt::format("'{}' needs exactly one of 'value', 'literal'", member.key),
                                    member.key_span, "a table as a value is written { literal = { … } }"));
  if (literal != nullptr && fallback != nullptr)
    return base::fail(profile_error("'default' goes with 'value'", fallback->span, "remove it"));
  if (literal == nullptr) literal = fallback;
  if (literal != nullptr && !has_type(*literal, out.type))
    return base::fail(profile_error(
        fmt::format("'{}' is of type '{}', found {}", member.key, out.type, literal->type_name()),
        literal->span));
  if (literal != nullptr) out.literal = *literal;
  return out;
}

Result<> read_parameters(const Value& table, std::vector<RuleParameter>& list, std::string_view kind,
                         Mode mode) {
  if (!table.is_object())
    return base::fail(
        profile_error(fmt::format("expected a table of {}s, found {}", kind, table.type_name()), table.span));
  for (const Value::Member& member : table.as_object()) {
    ORCH_TRY(RuleParameter * parameter, place_for(list, member, kind, mode));
    const std::string declared = parameter->type;
    ORCH_TRY(*parameter, read_parameter(member));
    if (mode == Mode::define || parameter->type != "any") continue;
    parameter->type = declared;
    if (parameter->literal && !has_type(*parameter->literal, declared))
      return base::fail(profile_error(fmt::format("'{}' is of type '{}', found {}", member.key, declared,
                                                  parameter->literal->type_name()),
                                      parameter->span));
  }
  return {};
}

Result<> read_tools(const Value& table, Rule& rule) {
  if (!table.is_object())
    return base::fail(
        profile_error(fmt::format("expected a table of tools, found {}", table.type_name()), table.span));
  for (const Value::Member& member : table.as_object()) {
    RuleTool tool;
    tool.name = member.key;
    tool.span = member.value.span;
    if (member.value.is_string() && !member.value.as_string().empty()) {
      tool.program = member.value.as_string();
    } else if (member.value.is_object()) {
      ORCH_CHECK(check(member.value, tool_schema(), Append::no));
      tool.program = member.value.string_or("program", "");
      tool.identity = member.value.string_or("identity", "digest");
      tool.version_args = strings_of(member.value.find("version_args"));
      tool.package_hint = member.value.string_or("package", "");
      tool.optional = member.value.bool_or("optional", false);
    } else {
      return base::fail(profile_error(fmt::format("tool '{}' needs a program", printable(member.key)),
                                      member.value.span, "for example { program = \"jq\" }"));
    }
    if (tool.identity == "version" && tool.version_args.empty()) tool.version_args = {"--version"};
    rule.tools.push_back(std::move(tool));
  }
  return {};
}

Result<> read_outputs(const Value& table, Rule& rule, Mode mode) {
  for (const Value::Member& member : table.as_object()) {
    ORCH_TRY(RuleOutput * output, place_for(rule.outputs, member, "output", mode));
    const Value* kind = member.value.find("kind");
    if (kind == nullptr && mode == Mode::define)
      return base::fail(profile_error(fmt::format("output '{}' needs a 'kind'", member.key), member.key_span,
                                      "\"image\", \"tree\", \"document\" or \"file\""));
    if (kind != nullptr) output->kind = *model::parse_artifact_kind(kind->as_string());
    output->provides = member.value.string_or("provides", output->provides);
    output->span = member.key_span;
  }
  return {};
}

Result<> read_when(const Value& table, Rule& rule) {
  if (!table.is_object())
    return base::fail(profile_error(fmt::format("expected a table for 'when', found {}", table.type_name()),
                                    table.span, "for example { \"item.kind\" = [\"packages\"] }"));
  rule.when.clear();
  for (const Value::Member& member : table.as_object()) {
    std::vector<std::string> words;
    const Value one = member.value.is_array() ? Value() : Value(Value::Array{member.value});
    for (const Value& item : (member.value.is_array() ? member.value : one).as_array()) {
      if (item.is_string())
        words.push_back(item.as_string());
      else if (item.is_bool())
        words.emplace_back(item.as_bool() ? "true" : "false");
      else if (item.is_int())
        words.push_back(std::to_string(item.as_int()));
      else
        return base::fail(
            profile_error(fmt::format("'{}' is compared with text, found {}", member.key, item.type_name()),
                          item.span, "for example [\"packages\"]"));
    }
    rule.when.emplace_back(member.key, std::move(words));
  }
  return {};
}

// ---- commands ----

// {in.X}, {out.X}, {param.X}, {tool.X} must name what the rule has; other braces are plain text.
Result<> check_word(const Value& word, const Rule& rule) {
  const std::array<std::pair<std::string_view, std::vector<std::string>>, 4> kinds{
      {{"in", names_of(rule.inputs)},
       {"out", names_of(rule.outputs)},
       {"param", names_of(rule.parameters)},
       {"tool", names_of(rule.tools)}}};
  const std::string& text = word.as_string();
  for (std::size_t open = text.find('{'); open != std::string::npos; open = text.find('{', open + 1)) {
    const std::size_t dot = text.find('.', open);
    const std::size_t close = text.find('}', open);
    if (dot == std::string::npos || close == std::string::npos || dot > close) continue;
    for (const auto& [kind, names] : kinds) {
      const std::string name = text.substr(dot + 1, close - dot - 1);
      if (text.substr(open + 1, dot - open - 1) != kind ||
          std::find(names.begin(), names.end(), name) != names.end())
        continue;
      return base::fail(profile_error(fmt::format("'{{{}.{}}}' names nothing here", kind, printable(name)),
                                      word.span, suggestion(name, names, "known names")));
    }
  }
  return {};
}

// The first string in it that took a variable, or nullptr.
// A text that differs from host to host would make equal steps differ, or hide a change behind an equal key.
Result<> check_portable(const Value& value, std::string_view what, const Rule& rule) {
  const Value* part = value.host_dependent_part();
  if (part == nullptr || rule.cache == model::CachePolicy::never) return {};
  return base::fail(profile_error(fmt::format("{} of a cached step must not depend on this host", what),
                                  part->span,
                                  "take a file as an input ({ file = \"…\" }), or write cache = \"never\""));
}

// The program of a command is a tool: its identity takes part in the key, like that of any other.
void add_program(const Value& word, Rule& rule) {
  const std::string& program = word.as_string();
  if (program.starts_with('{')) return;
  const auto at = std::find_if(rule.tools.begin(), rule.tools.end(),
                               [&](const RuleTool& tool) { return tool.program == program; });
  std::string name = at == rule.tools.end() ? sys::file_name(program) : at->name;
  if (at == rule.tools.end()) {
    while (find_named(rule.tools, name) != nullptr) name += "-command";
    RuleTool tool;
    tool.name = name;
    tool.program = program;
    tool.span = word.span;
    rule.tools.push_back(std::move(tool));
  }
  rule.command[0] = "{tool." + name + "}";
}

Result<> read_command(const Value& table, Rule& rule) {
  const Value* action = table.find("action");
  const Value* command = table.find("command");
  if ((action == nullptr) == (command == nullptr))
    return base::fail(profile_error(
        action == nullptr ? "nothing to do: neither 'command' nor 'action'" : "both 'command' and 'action'",
        action == nullptr ? table.span : command->span,
        "for example command = [\"sh\", \"{in.script}\", \"{out.tree}\"]"));
  if (action != nullptr) {
    rule.builtin = action->as_string();
    return {};
  }
  rule.command = strings_of(command);
  if (rule.command.empty() || rule.command[0].empty())
    return base::fail(
        profile_error("'command' is empty", command->span, "expected a program and its arguments"));
  const Value& program = command->as_array()[0];
  const bool relative = program.as_string()[0] != '/' && program.as_string()[0] != '{';
  if (relative && program.as_string().find('/') != std::string::npos)
    return base::fail(profile_error("a command runs in a directory of its own, where this path is not",
                                    program.span,
                                    "add an input, script = { file = \"…\" }, and run {in.script}"));
  ORCH_CHECK(check_portable(*command, "the command", rule));
  for (const Value& word : command->as_array()) ORCH_CHECK(check_word(word, rule));
  add_program(program, rule);
  return {};
}

Result<> read_lists(const Value& table, Rule& rule, Mode mode) {
  if (const Value* when = table.find("when")) ORCH_CHECK(read_when(*when, rule));
  if (const Value* inputs = table.find("inputs")) ORCH_CHECK(read_inputs(*inputs, rule, mode));
  if (const Value* parameters = table.find("parameters")) {
    ORCH_CHECK(read_parameters(*parameters, rule.parameters, "parameter", mode));
    ORCH_CHECK(check_portable(*parameters, "a parameter", rule));
  }
  if (const Value* settings = table.find("settings"))
    ORCH_CHECK(read_parameters(*settings, rule.settings, "setting", mode));
  if (const Value* outputs = table.find("outputs")) ORCH_CHECK(read_outputs(*outputs, rule, mode));
  return {};
}

}  // namespace

Result<> read_rule_table(const Value& table, Rule& rule) {
  const Value* version = table.find("version");
  if (version != nullptr && (version->as_int() < 1 || version->as_int() > 1'000'000))
    return base::fail(profile_error("'version' must be from 1 to 1000000", version->span));
  rule.version = static_cast<int>(table.int_or("version", 1));
  rule.description = table.string_or("description", "");
  rule.for_each = table.string_or("for_each", "");
  rule.pool = table.string_or("pool", "");
  rule.cache = table.string_or("cache", "content") == "never" ? model::CachePolicy::never
                                                              : model::CachePolicy::content;
  ORCH_CHECK(read_lists(table, rule, Mode::define));
  if (const Value* tools = table.find("tools")) ORCH_CHECK(read_tools(*tools, rule));
  if (rule.outputs.empty() && rule.cache == model::CachePolicy::content)
    return base::fail(profile_error(fmt::format("'{}' makes nothing", printable(rule.id)), rule.span,
                                    "add [outputs], or cache = \"never\" if it only looks"));
  return read_command(table, rule);
}

Result<> read_rule_table_over(const Value& table, Rule& rule) {
  rule.description = table.string_or("description", rule.description);
  rule.for_each = table.string_or("for_each", rule.for_each);
  rule.pool = table.string_or("pool", rule.pool);
  return read_lists(table, rule, Mode::override);
}

}  // namespace orch::load
