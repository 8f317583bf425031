#include "cli/plan_view.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

namespace orch::cli {

using base::printable;
using base::Value;
using model::Step;
using plan::PlannedStep;
using plan::Status;

namespace {

constexpr std::size_t k_value_width = 28;

std::string short_value(const std::string& text) {
  // "file:DIGEST", "xxh3:DIGEST": twelve digits tell them apart.
  const std::size_t colon = text.rfind(':');
  if (colon != std::string::npos && text.size() - colon == 33) return text.substr(colon + 1, 12);
  return base::shortened(text, k_value_width + 3);
}

struct Edge {
  std::string from;
  std::string to;
};

std::vector<Edge> edges_of(const graph::Graph& graph) {
  std::vector<Edge> edges;
  for (const Step& step : graph.steps) {
    std::set<model::StepIndex> seen;
    for (const model::StepInput& input : step.inputs) {
      const model::Upstream* from = std::get_if<model::Upstream>(&input.from);
      if (from != nullptr && seen.insert(from->step).second) edges.push_back({graph[from->step].id, step.id});
    }
  }
  return edges;
}

std::string launch_text(const Value& launch) {
  if (launch.is_null()) return {};
  std::string out = fmt::format("\nlaunch ({})\n", launch.string_or("launcher", "?"));
  if (const Value* images = launch.find("images"); images != nullptr && images->is_array())
    for (const Value& image : images->as_array())
      out += fmt::format("  image   {:<7} {}\n", image.string_or("role", ""),
                         printable(image.string_or("path", "")));
  if (const Value* environment = launch.find("env"); environment != nullptr && environment->is_object())
    for (const Value::Member& member : environment->as_object())
      out += fmt::format("  env     {}={}\n", printable(member.key),
                         member.value.is_string() ? printable(member.value.as_string()) : "");
  std::vector<std::string> argv;
  if (const Value* words = launch.find("argv"); words != nullptr && words->is_array())
    for (const Value& word : words->as_array())
      if (word.is_string()) argv.push_back(word.as_string());
  out += fmt::format("  command {}\n", printable(base::shell_join(argv)));
  return out;
}

}  // namespace

std::string reason_text(const plan::Reason& reason) {
  const std::string name = printable(reason.what);
  if (reason.kind == "upstream") return fmt::format("waits for {}", name);
  const bool differs = !reason.before.empty() || !reason.after.empty();
  if (!differs) return name;
  const std::string noun = reason.kind == "rule" ? "version of rule" : reason.kind;
  if (reason.before.empty())
    return fmt::format("{} '{}' is new ({})", noun, name, printable(short_value(reason.after)));
  if (reason.after.empty()) return fmt::format("{} '{}' is gone", noun, name);
  return fmt::format("{} '{}' changed ({} -> {})", noun, name, printable(short_value(reason.before)),
                     printable(short_value(reason.after)));
}

std::string plan_text(const Project& project, const plan::Plan& plan, const std::vector<Value>& launches) {
  std::string out;
  std::array<std::size_t, 5> counts{};
  for (const PlannedStep& step : plan.steps) ++counts[static_cast<std::size_t>(step.status)];
  std::vector<std::string> names;
  for (const model::Profile& profile : project.profiles()) names.push_back(profile.name);
  out += fmt::format("{}: {}", printable(base::join(names, ", ")),
                     base::quantity(plan.steps.size(), "step", "steps"));
  for (const Status status : {Status::fresh, Status::cached, Status::stale, Status::pending, Status::always})
    if (counts[static_cast<std::size_t>(status)] > 0)
      out += fmt::format(", {} {}", counts[static_cast<std::size_t>(status)], plan::to_string(status));
  out += "\n\n";
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const Step& step = project.graph().steps[i];
    const PlannedStep& planned = plan.steps[i];
    out += fmt::format("  {:<8} {}\n", plan::to_string(planned.status), printable(step.description));
    out += fmt::format(
        "           {}{}\n", step.id,
        step.profiles.size() > 1 ? fmt::format(" (shared by {})", base::join(step.profiles, ", ")) : "");
    if (planned.status == Status::fresh || planned.status == Status::always) continue;
    for (const plan::Reason& reason : planned.reasons)
      out += fmt::format("             {}\n", reason_text(reason));
  }
  for (const Value& launch : launches) out += launch_text(launch);
  return out;
}

Value plan_json(const Project& project, const plan::Plan& plan, const std::vector<Value>& launches) {
  Value steps = Value::array();
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const Step& step = project.graph().steps[i];
    const PlannedStep& planned = plan.steps[i];
    Value reasons = Value::array();
    for (const plan::Reason& reason : planned.reasons)
      reasons.push(Value::object({{"kind", reason.kind},
                                  {"what", reason.what},
                                  {"before", reason.before},
                                  {"after", reason.after}}));
    Value inputs = Value::array();
    for (const model::SpecInput& input : planned.spec.inputs) {
      if (input.upstream.empty())
        inputs.push(Value::object(
            {{"name", input.name}, {"path", input.path}, {"digest", input.digest.substr(0, 32)}}));
      else
        inputs.push(
            Value::object({{"name", input.name}, {"step", input.upstream}, {"output", input.output}}));
    }
    Value outputs = Value::array();
    for (const model::RuleOutput& output : step.outputs) {
      Value row = Value::object({{"name", output.name}, {"kind", model::to_string(output.kind)}});
      const auto made =
          std::find_if(planned.outputs.begin(), planned.outputs.end(),
                       [&](const model::OutputRecord& record) { return record.name == output.name; });
      row.set("digest", made == planned.outputs.end() ? Value() : Value(made->artifact.digest.hex()));
      outputs.push(std::move(row));
    }
    steps.push(Value::object({{"id", step.id},
                              {"rule", step.rule},
                              {"description", step.description},
                              {"profiles", Value::strings(step.profiles)},
                              {"status", plan::to_string(planned.status)},
                              {"key", planned.key ? Value(planned.key->hex()) : Value()},
                              {"reasons", reasons},
                              {"inputs", inputs},
                              {"outputs", outputs}}));
  }
  Value edges = Value::array();
  for (const Edge& edge : edges_of(project.graph()))
    edges.push(Value::object({{"from", edge.from}, {"to", edge.to}}));
  Value out = Value::object({{"schema", "appimage-orch/plan/1"}, {"steps", steps}, {"edges", edges}});
  out.set("launch", launches.empty() ? Value() : launches.front());
  if (launches.size() > 1) out.set("launches", Value(Value::Array(launches)));
  return out;
}

std::string plan_dot(const Project& project, const plan::Plan& plan) {
  const auto quoted = [](std::string_view text) {
    std::string out;
    for (const char c : printable(text)) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    return out;
  };
  std::string out = "digraph plan {\n  rankdir = LR;\n  node [shape = box, fontname = \"sans-serif\"];\n";
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const Step& step = project.graph().steps[i];
    const std::string_view status = plan::to_string(plan.steps[i].status);
    const bool idle = plan.steps[i].status == Status::fresh || plan.steps[i].status == Status::cached;
    out += fmt::format("  \"{}\" [label = \"{}\\n{}\", style = {}];\n", step.id, quoted(step.description),
                       status, idle ? "solid" : "bold");
  }
  for (const Edge& edge : edges_of(project.graph()))
    out += fmt::format("  \"{}\" -> \"{}\";\n", edge.from, edge.to);
  return out + "}\n";
}

std::string plan_mermaid(const Project& project, const plan::Plan& plan) {
  // Mermaid reads '#NN;' entities in labels; node ids must be plain words.
  const auto quoted = [](std::string_view text) {
    std::string out;
    for (const char c : printable(text)) {
      if (c == '"' || c == '#' || c == '<' || c == '>')
        out += fmt::format("#{};", static_cast<int>(c));
      else
        out += c;
    }
    return out;
  };
  std::string out = "flowchart LR\n";
  const auto node = [](std::string id) {
    std::replace(id.begin(), id.end(), '-', '_');
    return id;
  };
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const Step& step = project.graph().steps[i];
    out += fmt::format("  {}[\"{}<br/>{}\"]\n", node(step.id), quoted(step.description),
                       plan::to_string(plan.steps[i].status));
  }
  for (const Edge& edge : edges_of(project.graph()))
    out += fmt::format("  {} --> {}\n", node(edge.from), node(edge.to));
  return out;
}

std::string explain_step(const Project& project, const plan::Plan& plan, model::StepIndex index) {
  const Step& step = project.graph()[index];
  const PlannedStep& planned = plan.steps[index.value];
  std::string out = fmt::format("{}\n  {}\n  status   {}\n", step.id, printable(step.description),
                                plan::to_string(planned.status));
  for (const plan::Reason& reason : planned.reasons) {
    out += fmt::format("  because  {}\n", reason_text(reason));
    if (!reason.before.empty()) out += fmt::format("             before: {}\n", printable(reason.before));
    if (!reason.after.empty()) out += fmt::format("             after:  {}\n", printable(reason.after));
  }
  if (planned.key)
    out += fmt::format("  key      {}\n", planned.key->hex());
  else
    out += "  key      not known before its inputs are built\n";
  if (step.span.file) out += fmt::format("  from     {}\n", step.span.location());
  if (!step.command.empty()) out += fmt::format("  command  {}\n", printable(base::shell_join(step.command)));
  out += fmt::format("  log      {}\n", printable(project.folder().log_path(step.id)));
  if (!planned.items.empty()) {
    out += "  what takes part in the key, in this order:\n";
    for (const hash::KeyItem& item : planned.items)
      out += fmt::format("    {:<10} {:<20} {}\n", item.kind, printable(item.name), printable(item.value));
  }
  for (const model::OutputRecord& output : planned.outputs)
    out += fmt::format("  output   {:<10} {}\n", printable(output.name),
                       printable(project.store().data_path(output.artifact)));
  return out;
}

}  // namespace orch::cli
