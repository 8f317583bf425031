#include "probe/probe_report.hpp"

#include "probe/renderers.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

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

// A kind of devices that the script looks for.
struct DeviceKind {
  std::string_view name;
  std::string_view prefix;  // of what the script calls them
  std::string_view folder;
  bool nodes;  // below /dev, with what one may do with them; others are named by what they are
};

constexpr std::array k_device_kinds = {
    DeviceKind{"render", "dri/renderD", "dev/dri", true}, DeviceKind{"input", "input/", "dev/input", true},
    DeviceKind{"usb", "usb", "sys/bus/usb/devices", false}, DeviceKind{"hidraw", "hidraw", "dev", true},
    DeviceKind{"pcsc", "pcsc", "run/pcscd", false}};

Value device_kind_value(const DeviceKind& kind, const ProbeOutput& output) {
  Value devices = Value::array();
  bool readable = false;
  for (const auto& [name, what] : output.devices) {
    if (!name.starts_with(kind.prefix)) continue;
    devices.push(kind.nodes ? name : what);
    readable |= !kind.nodes || what.find('r') != std::string::npos;
  }
  const bool closed =
      std::find(output.closed.begin(), output.closed.end(), kind.folder) != output.closed.end();
  const bool hidden = closed || !devices.as_array().empty();
  return Value::object({{"name", std::string(kind.name)},
                        {"state", readable ? "there"
                                  : hidden ? "not readable"
                                           : "absent"},
                        {"devices", std::move(devices)}});
}

Value device_kinds_value(const ProbeOutput& output) {
  Value out = Value::array();
  if (output.complete)  // else nobody looked for all of them
    for (const DeviceKind& kind : k_device_kinds) out.push(device_kind_value(kind, output));
  return out;
}

// Platforms whose display could not be initialised, each once.
Value failed_platforms_value(const ProbeOutput& output) {
  std::vector<std::string> out;
  for (std::string& name : parse_egl_failures(text_of(output, "eglinfo")))
    if (std::find(out.begin(), out.end(), name) == out.end()) out.push_back(std::move(name));
  return Value::strings(out);
}

// With those that the script did not come to.
Value tools_value(ProbeKind kind, const ProbeOutput& output) {
  std::vector<Section> sections = output.sections;
  for (const std::string& tool : tools_of(kind))
    if (std::none_of(sections.begin(), sections.end(),
                     [&tool](const Section& section) { return section.tool == tool; }))
      sections.push_back({tool, Section::State::not_asked, {}, {}});
  Value out = Value::array();
  for (const Section& section : sections)
    out.push(Value::object({{"tool", section.tool},
                            {"state", std::string(to_string(section.state))},
                            {"status", section.status ? Value(*section.status) : Value()},
                            {"text", section.text}}));
  return out;
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
  return Value::object(
      {{"schema", "appimage-orch/probe/1"},
       {"kind", std::string(to_string(kind))},
       {"complete", is_complete(output, display)},
       {"finished", output.complete},
       {"overlay", overlay_value(overlay)},
       {"variables", std::move(variables)},
       {"display", std::move(display)},
       {"server", kind == ProbeKind::display ? server_value(output) : Value()},
       {"renderers", kind == ProbeKind::gpu ? renderers_value(output) : Value::array()},
       {"egl_failed", kind == ProbeKind::gpu ? failed_platforms_value(output) : Value::array()},
       {"devices", std::move(devices)},
       {"kinds", kind == ProbeKind::devices ? device_kinds_value(output) : Value::array()},
       {"tools", tools_value(kind, output)}});
}

}  // namespace orch::probe
