#include "load/rules.hpp"

#include "base/text.hpp"
#include "format/toml.hpp"
#include "load/keys.hpp"
#include "load/rule_reader.hpp"
#include "load/variables.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace orch::load {

using base::Error;
using base::printable;
using model::Rule;

const Rule* Rules::find(std::string_view id) const {
  for (const std::vector<Rule>* list : {&always, &named})
    for (const Rule& rule : *list)
      if (rule.id == id) return &rule;
  return nullptr;
}

std::vector<std::string> Rules::ids() const {
  std::vector<std::string> out;
  for (const std::vector<Rule>* list : {&always, &named})
    for (const Rule& rule : *list) out.push_back(rule.id);
  return out;
}

namespace {

struct ReadRule {
  Rule rule;
  bool always = false;
  bool replaces = false;
};

bool is_name(std::string_view text) {
  constexpr std::string_view k_chars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  return !text.empty() && text[0] != '.' && text[0] != '-' && text.size() <= 64 &&
         text.find_first_not_of(k_chars) == std::string_view::npos;
}

Result<> check_name(const Value& value, std::string_view key) {
  if (is_name(value.as_string())) return {};
  return base::fail(
      profile_error(fmt::format("'{}' is not usable as a {}", printable(value.as_string()), key), value.span,
                    "letters, digits, '-', '_' and '.', at most 64"));
}

Result<ReadRule> read_rule_file(const std::string& path) {
  ORCH_TRY(std::string text, sys::read_file(path));
  ORCH_TRY(Value document, format::parse_toml_text(path, std::move(text)));
  ORCH_CHECK(check(document, rule_schema(), Append::no));
  ORCH_CHECK(check_format_version(document));
  absolutise(document, rule_schema(), sys::parent_path(sys::absolute_path(path)));
  const Value& id = *document.find("id");
  ORCH_CHECK(check_name(id, "rule id"));
  ReadRule read;
  read.rule.id = id.as_string();
  read.rule.span = id.span;
  ORCH_CHECK(read_rule_table(document, read.rule));
  read.always = document.string_or("apply", "named") == "always";
  read.replaces = document.bool_or("replaces", false);
  return read;
}

// Finds a rule in either list of `rules`; true if it was there and is gone.
bool remove_rule(Rules& rules, std::string_view id) {
  const auto same = [&](const Rule& rule) { return rule.id == id; };
  return std::erase_if(rules.always, same) + std::erase_if(rules.named, same) > 0;
}

Result<> add_rule(Rules& rules, ReadRule read, std::string_view directory) {
  const Rule* present = rules.find(read.rule.id);
  if (present != nullptr) {
    const bool same_directory = sys::parent_path(present->span.file->path) == directory;
    if (!read.replaces || same_directory) {
      Error error = profile_error(
          fmt::format("a second rule '{}'", read.rule.id), read.rule.span,
          same_directory ? "give it another id"
                         : "give it another id, or replaces = true to take the place of that rule");
      error.related.emplace_back("first defined here", present->span);
      return base::fail(std::move(error));
    }
    remove_rule(rules, read.rule.id);
  } else if (read.replaces) {
    return base::fail(profile_error(fmt::format("there is no rule '{}' to replace", read.rule.id),
                                    read.rule.span, suggestion(read.rule.id, rules.ids(), "rules")));
  }
  (read.always ? rules.always : rules.named).push_back(std::move(read.rule));
  return {};
}

}  // namespace

Result<> check_format_version(const Value& document) {
  const Value* schema = document.find("schema");
  if (schema == nullptr || schema->as_int() == 1) return {};
  return base::fail(
      profile_error(fmt::format("this version of the tool reads schema 1, found {}", schema->as_int()),
                    schema->span, "a newer version of appimage-orch may read it"));
}

Result<Rule> read_rule(const std::string& path) {
  ORCH_TRY(ReadRule read, read_rule_file(path));
  return std::move(read.rule);
}

Result<Rules> load_rules(const std::vector<std::string>& directories) {
  Rules rules;
  for (const std::string& directory : directories) {
    if (!sys::exists(directory)) continue;
    ORCH_TRY(const std::vector<std::string> names, sys::list_dir(directory));
    for (const std::string& name : names) {
      if (!name.ends_with(".toml") || name.starts_with('.')) continue;
      ORCH_TRY(ReadRule read, read_rule_file(directory + "/" + name));
      ORCH_CHECK(add_rule(rules, std::move(read), directory));
    }
  }
  return rules;
}

// ---- steps of a profile ----

namespace {

// A step by a rule's id: the rule, with what the step adds.
Result<Rule> step_by_rule(const Value& step, const Rules& rules) {
  const Value& id = *step.find("rule");
  const Rule* rule = rules.find(id.as_string());
  if (rule == nullptr)
    return base::fail(profile_error(fmt::format("unknown rule '{}'", printable(id.as_string())), id.span,
                                    suggestion(id.as_string(), rules.ids(), "rules")));
  for (const char* fixed : {"action", "command", "tools", "version", "cache"}) {
    if (const Value* value = step.find(fixed)) {
      Error error = profile_error(fmt::format("'{}' comes from rule '{}'", fixed, rule->id), value->span,
                                  "remove it, or write a rule of your own");
      error.related.emplace_back("the rule", rule->span);
      return base::fail(std::move(error));
    }
  }
  Rule out = *rule;
  ORCH_CHECK(read_rule_table_over(step, out));
  return out;
}

Result<Rule> read_step(const Value& step, const Rules& rules) {
  const Value& name = *step.find("name");
  ORCH_CHECK(check_name(name, "step name"));
  Rule rule;
  rule.id = name.as_string();
  rule.span = name.span;
  if (step.find("rule") != nullptr) {
    ORCH_TRY(rule, step_by_rule(step, rules));
  } else {
    ORCH_CHECK(read_rule_table(step, rule));
  }
  rule.id = "step:" + name.as_string();
  rule.span = name.span;
  if (rule.description.empty()) rule.description = name.as_string();
  return rule;
}

Result<> check_reference(const model::RuleInput& input, const std::vector<Rule>& steps, const Rule& self) {
  if (input.step.empty()) return {};
  std::vector<std::string> names;
  for (const Rule& step : steps) {
    const std::string name = step.id.substr(5);
    if (name != input.step) {
      if (&step != &self) names.push_back(name);
      continue;
    }
    if (input.output.empty()) return {};
    std::vector<std::string> outputs;
    for (const model::RuleOutput& output : step.outputs) outputs.push_back(output.name);
    if (std::find(outputs.begin(), outputs.end(), input.output) != outputs.end()) return {};
    Error error = profile_error(fmt::format("step '{}' has no output '{}'", name, printable(input.output)),
                                input.span, suggestion(input.output, outputs, "its outputs"));
    error.related.emplace_back("the step", step.span);
    return base::fail(std::move(error));
  }
  std::string hint = suggestion(input.step, names, "steps of this profile");
  return base::fail(
      profile_error(fmt::format("input '{}' names the unknown step '{}'", input.name, printable(input.step)),
                    input.span, hint.empty() ? "a profile's own steps only; use value = \"…\"" : hint));
}

}  // namespace

Result<std::vector<Rule>> read_steps(const Value& steps, const Rules& rules) {
  std::vector<Rule> out;
  for (const Value& step : steps.as_array()) {
    ORCH_TRY(Rule rule, read_step(step, rules));
    for (const Rule& other : out) {
      if (other.id != rule.id) continue;
      Error error = profile_error(fmt::format("a second step '{}'", rule.id.substr(5)), rule.span,
                                  "give it another name");
      error.related.emplace_back("first defined here", other.span);
      return base::fail(std::move(error));
    }
    out.push_back(std::move(rule));
  }
  for (const Rule& rule : out)
    for (const model::RuleInput& input : rule.inputs) ORCH_CHECK(check_reference(input, out, rule));
  return out;
}

}  // namespace orch::load
