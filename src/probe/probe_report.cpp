#include "probe/probe_report.hpp"

#include "probe/renderers.hpp"

#include <algorithm>

namespace orch::probe {

using base::Value;

namespace {

std::string text_of(const ProbeOutput& output, std::string_view tool) {
  for (const Section& section : output.sections)
    if (section.tool == tool) return section.text;
  return {};
}

Value renderers_value(const ProbeOutput& output) {
  Value out = Value::array();
  for (const std::vector<Renderer>& list :
       {parse_glxinfo(text_of(output, "glxinfo")), parse_eglinfo(text_of(output, "eglinfo")),
        parse_vulkaninfo(text_of(output, "vulkaninfo"))})
    for (const Renderer& renderer : list) out.push(to_value(renderer));
  return out;
}

Value server_value(const ProbeOutput& output) {
  const XServer server = parse_xdpyinfo(text_of(output, "xdpyinfo"));
  return server.vendor.empty() ? Value() : to_value(server);
}

// {"name","promised","as_promised","answers"}; null for what nobody said: no promise, no tool to ask the server.
Value display_value(const ProbeOutput& output, const std::string& promised) {
  Value name;
  for (const auto& [variable, value] : output.variables)
    if (variable == "DISPLAY") name = value;
  Value answers;
  for (const Section& section : output.sections)
    if (section.tool == "xdpyinfo" && section.state != Section::State::absent)
      answers = !server_value(output).is_null();
  const bool kept = name.is_string() && name.as_string() == promised;
  return Value::object({{"name", std::move(name)},
                        {"promised", base::or_null(promised)},
                        {"as_promised", promised.empty() ? Value() : Value(kept)},
                        {"answers", std::move(answers)}});
}

Value overlay_value(const ToolsOverlay& overlay) {
  if (!overlay.wanted()) return {};
  return Value::object(
      {{"packages", Value::strings(overlay.packages)}, {"problem", base::or_null(overlay.problem)}});
}

bool is_complete(const ProbeOutput& output, const Value& display) {
  const bool broken = display.is_object() && !display.bool_or("as_promised", true);
  return output.complete && !broken &&
         std::all_of(output.sections.begin(), output.sections.end(),
                     [](const Section& section) { return section.state == Section::State::ok; });
}

}  // namespace

Value probe_report(ProbeKind kind, const ProbeOutput& output, const std::string& promised_display,
                   const ToolsOverlay& overlay) {
  Value display = kind == ProbeKind::display ? display_value(output, promised_display) : Value();
  Value variables = Value::object();
  for (const auto& [name, value] : output.variables) variables.set(name, value);
  Value devices = Value::array();
  for (const auto& [name, what] : output.devices)
    devices.push(Value::object({{"name", name}, {"what", what}}));
  Value tools = Value::array();
  for (const Section& section : output.sections)
    tools.push(
        Value::object({{"tool", section.tool},
                       {"state", std::string(to_string(section.state))},
                       {"status", section.state == Section::State::absent ? Value() : Value(section.status)},
                       {"text", section.text}}));
  return Value::object({{"schema", "appimage-orch/probe/1"},
                        {"kind", std::string(to_string(kind))},
                        {"complete", is_complete(output, display)},
                        {"finished", output.complete},
                        {"overlay", overlay_value(overlay)},
                        {"variables", std::move(variables)},
                        {"display", std::move(display)},
                        {"server", kind == ProbeKind::display ? server_value(output) : Value()},
                        {"renderers", kind == ProbeKind::gpu ? renderers_value(output) : Value::array()},
                        {"devices", std::move(devices)},
                        {"tools", std::move(tools)}});
}

}  // namespace orch::probe
