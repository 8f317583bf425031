#include "graph/graph.hpp"

#include "base/text.hpp"
#include "graph/instance.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

namespace orch::graph {

using base::Error;
using base::ErrorKind;
using base::fail;
using base::Value;
using model::Rule;
using model::Step;

std::string common_folder(const std::vector<std::string>& folders) {
  if (folders.empty()) return "/";
  std::string common = folders.front();
  for (const std::string& folder : folders) {
    while (common != "/" && folder != common && !folder.starts_with(common + "/")) {
      const std::size_t slash = common.rfind('/');
      common = slash == 0 ? "/" : common.substr(0, slash);
    }
  }
  return common;
}

namespace {

// Where an input comes from, before steps have their final numbers.
struct Source {
  std::string name;
  std::optional<Provider> provider;
  std::string path;  // without a provider
  base::SourceSpan span;
};

// Everything of one profile while its steps are tied together.
struct Expansion {
  const model::Profile& profile;
  const std::string& root;
  Bindings bindings;
  std::vector<std::vector<Source>> sources{};  // per instance
};

std::string logical_name(const std::string& path, const std::string& root) {
  const std::string prefix = root == "/" ? root : root + "/";
  return path.starts_with(prefix) ? path.substr(prefix.size()) : path;
}

// The value that `instance` sees at a place: of the last provider, or, for one that provides it too, of the
// one before.
std::optional<Provider> provider_for(const Bindings& bindings, std::size_t instance,
                                     const std::string& place) {
  const auto found = bindings.providers.find(place);
  if (found == bindings.providers.end()) return std::nullopt;
  const std::vector<Provider>& list = found->second;
  std::optional<Provider> before;
  for (const Provider& provider : list) {
    if (provider.instance == instance) return before;
    before = provider;
  }
  return before;
}

Error nothing_there(const Instance& instance, const model::RuleInput& input, const std::string& place) {
  return Error(ErrorKind::profile,
               fmt::format(
                   "step '{}' needs '{}' for its input '{}', and neither the profile nor a step gives it",
                   instance.rule->id, place, input.name),
               fmt::format("set '{}' in the profile", place))
      .at(input.span);
}

Result<> add_place(Expansion& x, std::size_t index, const model::RuleInput& input, const std::string& place,
                   std::string name) {
  const Instance& instance = x.bindings.instances[index];
  Source source{std::move(name), provider_for(x.bindings, index, place), {}, input.span};
  if (!source.provider) {
    const Value* value = value_at(x.bindings.profile, place);
    if (value == nullptr || value->is_null()) {
      if (input.optional) return {};
      return fail(nothing_there(instance, input, place));
    }
    if (!value->is_string())
      return fail(Error(ErrorKind::profile, fmt::format("step '{}' takes '{}' as a file, but it is a {}",
                                                        instance.rule->id, place, value->type_name()))
                      .at(value->span));
    source.path = value->as_string();
    source.span = value->span;
  }
  x.sources[index].push_back(std::move(source));
  return {};
}

// "layers[].image", "below[].image": every item of the list.
Result<> add_list(Expansion& x, std::size_t index, const model::RuleInput& input) {
  std::size_t number = 0;
  for (const std::string& place : bind_list(x.bindings.instances[index], x.bindings.profile, input.value))
    ORCH_CHECK(add_place(x, index, input, place, fmt::format("{}[{}]", input.name, number++)));
  return {};
}

Result<Provider> named_step(const Expansion& x, const Instance& taker, const model::RuleInput& input) {
  std::vector<std::string> names;
  const auto name_of = [](const Rule& rule) {
    return std::string_view(rule.id).substr(rule.id.starts_with("step:") ? 5 : 0);
  };
  for (std::size_t i = 0; i < x.bindings.instances.size(); ++i) {
    const Rule& rule = *x.bindings.instances[i].rule;
    const std::string_view name = name_of(rule);
    if (name != input.step || &rule == taker.rule) continue;
    if (input.output.empty() && !rule.outputs.empty()) return Provider{i, 0};
    std::vector<std::string> outputs;
    for (std::size_t k = 0; k < rule.outputs.size(); ++k) {
      if (rule.outputs[k].name == input.output) return Provider{i, k};
      outputs.push_back(rule.outputs[k].name);
    }
    const std::optional<std::string> near = base::nearest(input.output, outputs);
    return fail(Error(ErrorKind::profile,
                      fmt::format("step '{}' has no output '{}'; it has: {}", name, input.output,
                                  base::join(outputs, ", ")),
                      near ? fmt::format("did you mean '{}'?", *near) : "")
                    .at(input.span));
  }
  for (const Instance& instance : x.bindings.instances) names.emplace_back(name_of(*instance.rule));
  const std::optional<std::string> near = base::nearest(input.step, names);
  return fail(Error(ErrorKind::profile,
                    fmt::format("there is no step '{}' in profile '{}'", input.step, x.profile.name),
                    near ? fmt::format("did you mean '{}'?", *near)
                         : fmt::format("its steps are: {}", base::join(names, ", ")))
                  .at(input.span));
}

Result<> find_sources(Expansion& x) {
  x.sources.resize(x.bindings.instances.size());
  for (std::size_t i = 0; i < x.bindings.instances.size(); ++i) {
    const Instance& instance = x.bindings.instances[i];
    for (const model::RuleInput& input : instance.rule->inputs) {
      if (!input.step.empty()) {
        ORCH_TRY(const Provider provider, named_step(x, instance, input));
        x.sources[i].push_back({input.name, provider, {}, input.span});
      } else if (!input.file.empty()) {
        x.sources[i].push_back({input.name, std::nullopt, input.file, input.span});
      } else if (input.value.find("[]") != std::string::npos) {
        ORCH_CHECK(add_list(x, i, input));
      } else {
        ORCH_CHECK(add_place(x, i, input, bind_place(instance, input.value), input.name));
      }
    }
  }
  return {};
}

Error cycle_error(const Expansion& x, const std::vector<std::size_t>& path) {
  std::string text;
  for (const std::size_t i : path) text += x.bindings.instances[i].rule->id + " -> ";
  text += x.bindings.instances[path.front()].rule->id;
  Error error(ErrorKind::profile,
              fmt::format("the steps of profile '{}' wait for each other: {}", x.profile.name, text),
              "take one of these inputs away");
  error.where = x.bindings.instances[path.front()].rule->span;
  for (std::size_t k = 1; k < path.size(); ++k)
    error.related.emplace_back(fmt::format("step '{}'", x.bindings.instances[path[k]].rule->id),
                               x.bindings.instances[path[k]].rule->span);
  return error;
}

// Instances in an order in which each comes after those it takes from; without preference otherwise changed.
Result<std::vector<std::size_t>> topological(const Expansion& x) {
  enum class Mark { unseen, open, done };
  std::vector<Mark> marks(x.sources.size(), Mark::unseen);
  std::vector<std::size_t> order;
  // Depth first with a stack of its own: a chain may be as long as a profile makes it.
  struct Frame {
    std::size_t instance;
    std::size_t next = 0;
  };
  for (std::size_t start = 0; start < x.sources.size(); ++start) {
    if (marks[start] != Mark::unseen) continue;
    std::vector<Frame> stack{{start}};
    marks[start] = Mark::open;
    while (!stack.empty()) {
      Frame& frame = stack.back();
      if (frame.next == x.sources[frame.instance].size()) {
        marks[frame.instance] = Mark::done;
        order.push_back(frame.instance);
        stack.pop_back();
        continue;
      }
      const Source& source = x.sources[frame.instance][frame.next++];
      if (!source.provider) continue;
      const std::size_t target = source.provider->instance;
      if (marks[target] == Mark::done) continue;
      if (marks[target] == Mark::open) {
        std::vector<std::size_t> path;
        for (const Frame& open : stack)
          if (!path.empty() || open.instance == target) path.push_back(open.instance);
        return fail(cycle_error(x, path));
      }
      marks[target] = Mark::open;
      stack.push_back({target});
    }
  }
  return order;
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

enum class Role { parameter, setting };

// What a parameter's place holds: a value, or an array of the values of a list's items.
std::optional<Value> parameter_value(const Expansion& x, const Instance& instance, const std::string& place) {
  if (place.find("[]") == std::string::npos) {
    const Value* value = value_at(x.bindings.profile, bind_place(instance, place));
    return value == nullptr || value->is_null() ? std::nullopt : std::optional<Value>(*value);
  }
  Value list = Value::array();
  for (const std::string& item : bind_list(instance, x.bindings.profile, place)) {
    const Value* value = value_at(x.bindings.profile, item);
    list.push(value == nullptr ? Value() : *value);
  }
  return list;
}

Result<std::vector<model::StepParameter>> parameters(const Expansion& x, const Instance& instance, Step& step,
                                                     const std::vector<model::RuleParameter>& declared,
                                                     Role role) {
  std::vector<model::StepParameter> out;
  for (const model::RuleParameter& parameter : declared) {
    std::optional<Value> value;
    if (!parameter.value.empty()) value = parameter_value(x, instance, parameter.value);
    if (!value && parameter.literal && !parameter.literal->is_null()) value = parameter.literal;
    if (!value) {
      if (parameter.type == "lock")
        step.unresolved = fmt::format("layer '{}' is not locked yet", instance.item_name);
      continue;
    }
    if (!has_type(*value, parameter.type))
      return fail(Error(ErrorKind::profile,
                        fmt::format("parameter '{}' of step '{}' must be of type {}, but is a {}",
                                    parameter.name, instance.rule->id, parameter.type, value->type_name()))
                      .at(value->span.file ? value->span : parameter.span));
    const Value* bad = role == Role::parameter && step.cache == model::CachePolicy::content
                           ? value->host_dependent_part()
                           : nullptr;
    if (bad != nullptr)
      return fail(
          Error(ErrorKind::profile,
                fmt::format(
                    "parameter '{}' of step '{}' depends on this host, so its result could not be shared",
                    parameter.name, instance.rule->id),
                "write the value out, or give the file as an input of the step")
              .at(bad->span.file ? bad->span : parameter.span));
    out.push_back({parameter.name, *value});
  }
  return out;
}

std::string describe(const Expansion& x, const Instance& instance) {
  std::string text = instance.rule->description.empty() ? instance.rule->id : instance.rule->description;
  const auto replace = [&](std::string_view what, const std::string& with) {
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
      text.replace(at, what.size(), with);
  };
  replace("${profile}", x.profile.name);
  replace("${item.name}", instance.item_name);
  return text;
}

// Adds the step of one instance to the graph, or finds the equal one that is there.
Result<model::StepIndex> add_step(Expansion& x, std::size_t index, Graph& graph,
                                  std::map<std::string, model::StepIndex>& by_id,
                                  const std::vector<model::StepIndex>& numbers) {
  const Instance& instance = x.bindings.instances[index];
  const Rule& rule = *instance.rule;
  Step step;
  step.slot = x.profile.name + "/" + rule.id + (instance.item ? "/" + instance.item_name : std::string());
  step.rule = rule.id;
  step.rule_version = rule.version;
  step.description = describe(x, instance);
  step.profiles = {x.profile.name};
  step.tools = rule.tools;
  step.outputs = rule.outputs;
  step.builtin = rule.builtin;
  step.command = rule.command;
  step.pool = rule.pool;
  step.cache = rule.cache;
  step.span = rule.span;
  std::vector<std::string> upstream_ids;
  for (const Source& source : x.sources[index]) {
    model::StepInput input{source.name, model::Leaf{}, source.span};
    if (source.provider) {
      const model::StepIndex from = numbers[source.provider->instance];
      if (graph[from].cache == model::CachePolicy::never)
        return fail(
            Error(ErrorKind::profile,
                  fmt::format("step '{}' takes from step '{}', which is never cached and so leaves no result",
                              rule.id, graph[from].rule),
                  "give that step cache = \"content\"")
                .at(source.span));
      upstream_ids.push_back(graph[from].id);
      input.from = model::Upstream{from, source.provider->output};
    } else {
      upstream_ids.emplace_back();
      input.from = model::Leaf{source.path, logical_name(source.path, x.root)};
    }
    step.inputs.push_back(std::move(input));
  }
  ORCH_TRY(step.parameters, parameters(x, instance, step, rule.parameters, Role::parameter));
  ORCH_TRY(step.settings, parameters(x, instance, step, rule.settings, Role::setting));
  // A step whose parameters are not known yet cannot be shared: its slot stands in for them.
  if (!step.unresolved.empty()) step.parameters.push_back({"unresolved", step.slot});
  step.id = model::step_id(step, upstream_ids);
  const auto found = by_id.find(step.id);
  if (found != by_id.end()) {
    std::vector<std::string>& names = graph.steps[found->second.value].profiles;
    if (std::find(names.begin(), names.end(), x.profile.name) == names.end()) names.push_back(x.profile.name);
    return found->second;
  }
  const model::StepIndex number{static_cast<std::uint32_t>(graph.steps.size())};
  by_id.emplace(step.id, number);
  graph.steps.push_back(std::move(step));
  return number;
}

}  // namespace

Result<Graph> expand(std::span<const model::Profile> profiles, std::span<const Rule> rules,
                     std::string root) {
  Graph graph;
  graph.root = std::move(root);
  std::vector<const Rule*> all;
  for (const Rule& rule : rules) all.push_back(&rule);
  std::sort(all.begin(), all.end(), [](const Rule* a, const Rule* b) { return a->id < b->id; });
  std::map<std::string, model::StepIndex> by_id;
  for (const model::Profile& profile : profiles) {
    ORCH_TRY(Bindings bindings, bind_rules(profile, all));
    Expansion x{profile, graph.root, std::move(bindings)};
    ORCH_CHECK(find_sources(x));
    ORCH_TRY(const std::vector<std::size_t> order, topological(x));
    std::vector<model::StepIndex> numbers(x.bindings.instances.size());
    for (const std::size_t index : order) {
      ORCH_TRY(numbers[index], add_step(x, index, graph, by_id, numbers));
    }
  }
  return graph;
}

}  // namespace orch::graph
