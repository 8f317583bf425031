#include "probe/renderers.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <optional>
#include <utility>

namespace orch::probe {

namespace {

bool contains(std::string_view text, std::string_view part) {
  const auto same = [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
  };
  return std::search(text.begin(), text.end(), part.begin(), part.end(), same) != text.end();
}

template <std::size_t N>
bool contains_any(std::string_view text, const std::array<std::string_view, N>& parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [text](std::string_view part) { return contains(text, part); });
}

// "label: value" or "label = value", without the spaces around; nullopt for other lines.
std::optional<std::pair<std::string_view, std::string_view>> field_of(std::string_view line, char separator) {
  const std::size_t at = line.find(separator);
  if (at == std::string_view::npos) return std::nullopt;
  return std::pair(base::trim(line.substr(0, at)), base::trim(line.substr(at + 1)));
}

int number_at(std::string_view text) {
  int out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

void keep_first(std::string& field, std::string_view value) {
  if (field.empty()) field = value;
}

void classify_all(std::vector<Renderer>& list) {
  for (Renderer& item : list)
    if (item.kind == RendererKind::unknown) item.kind = classify(item.renderer, item.driver);
}

}  // namespace

std::string_view to_string(RendererKind kind) {
  switch (kind) {
    case RendererKind::hardware:
      return "hardware";
    case RendererKind::virtualised:
      return "virtualised";
    case RendererKind::software:
      return "software";
    case RendererKind::unknown:
      break;
  }
  return "unknown";
}

Value to_value(const Renderer& renderer) {
  return Value::object({{"api", renderer.api},
                        {"platform", base::or_null(renderer.platform)},
                        {"vendor", base::or_null(renderer.vendor)},
                        {"renderer", base::or_null(renderer.renderer)},
                        {"version", base::or_null(renderer.version)},
                        {"driver", base::or_null(renderer.driver)},
                        {"kind", std::string(to_string(renderer.kind))}});
}

RendererKind classify(std::string_view renderer, std::string_view driver, std::string_view device_type) {
  constexpr std::array<std::string_view, 6> k_software = {
      "llvmpipe", "softpipe", "swrast", "lavapipe", "software rasterizer", "swiftshader"};
  // With the names of drivers, which are all that eglinfo before mesa-demos 9 has to say.
  constexpr std::array<std::string_view, 6> k_virtual = {"venus",      "virgl",  "virtio-gpu",
                                                         "virtio_gpu", "svga3d", "vmwgfx"};
  if (contains(device_type, "TYPE_CPU")) return RendererKind::software;
  if (contains(device_type, "VIRTUAL_GPU")) return RendererKind::virtualised;
  // zink names in brackets what it draws with, so one look at the whole text is right for it, too.
  for (const std::string_view text : {renderer, driver}) {
    if (contains_any(text, k_software)) return RendererKind::software;
    if (contains_any(text, k_virtual)) return RendererKind::virtualised;
  }
  const bool open = driver.empty() || driver == "zink";  // which draws with whatever Vulkan has
  return renderer.empty() && open ? RendererKind::unknown : RendererKind::hardware;
}

std::vector<Renderer> parse_glxinfo(std::string_view text) {
  Renderer out;
  out.api = "GLX";
  for (const std::string_view line : base::split(text, '\n')) {
    const auto field = field_of(line, ':');
    if (!field) continue;
    const auto& [label, value] = *field;
    if (label == "OpenGL vendor string") keep_first(out.vendor, value);
    if (label == "OpenGL renderer string") keep_first(out.renderer, value);
    if (label == "OpenGL core profile version string" || label == "OpenGL version string")
      keep_first(out.version, value);
  }
  if (out.renderer.empty()) return {};
  std::vector<Renderer> list = {std::move(out)};
  classify_all(list);
  return list;
}

namespace {

// Each line of eglinfo with the platform that it is of.
template <typename Visit>
void each_egl_line(std::string_view text, const Visit& visit) {
  constexpr std::string_view k_platform = " platform:";
  std::string platform;
  for (std::string_view line : base::split(text, '\n')) {
    while (line.ends_with('\r')) line.remove_suffix(1);
    if (line.ends_with(k_platform))
      platform = line.substr(0, line.size() - k_platform.size());
    else
      visit(platform, line);
  }
}

}  // namespace

std::vector<Renderer> parse_eglinfo(std::string_view text) {
  std::vector<Renderer> out;
  each_egl_line(text, [&out](const std::string& platform, std::string_view line) {
    const auto field = field_of(line, ':');
    if (!field || field->second.empty()) return;
    const auto& [label, value] = *field;
    if (label == "EGL API version") {
      out.push_back({});
      out.back().api = "EGL";
      out.back().platform = platform;
    }
    if (out.empty() || out.back().platform != platform) return;  // of a platform that did not start
    if (label == "EGL version string") keep_first(out.back().version, value);
    if (label == "EGL vendor string") keep_first(out.back().vendor, value);
    if (label == "EGL driver name") keep_first(out.back().driver, value);
    if (label.starts_with("OpenGL") && label.ends_with("renderer")) keep_first(out.back().renderer, value);
  });
  classify_all(out);
  return out;
}

std::vector<std::string> parse_egl_failures(std::string_view text) {
  std::vector<std::string> out;
  each_egl_line(text, [&out](const std::string& platform, std::string_view line) {
    if (contains(line, "eglInitialize failed"))  // perhaps behind what a library said without an end of line
      out.push_back(platform.empty() ? "default" : platform);
  });
  return out;
}

std::vector<Renderer> parse_vulkaninfo(std::string_view text) {
  std::vector<Renderer> out;
  std::string type;
  const auto finish = [&] {
    if (!out.empty()) out.back().kind = classify(out.back().renderer, out.back().driver, type);
    type.clear();
  };
  for (const std::string_view line : base::split(text, '\n')) {
    const std::string_view trimmed = base::trim(line);
    if (trimmed.starts_with("GPU") && trimmed.ends_with(':')) {
      finish();
      out.push_back({});
      out.back().api = "Vulkan";
      continue;
    }
    const auto field = field_of(line, '=');
    if (!field || out.empty()) continue;
    const auto& [label, value] = *field;
    if (label == "deviceName") keep_first(out.back().renderer, value);
    if (label == "driverName") keep_first(out.back().driver, value);
    if (label == "driverInfo") keep_first(out.back().version, value);
    if (label == "vendorID") keep_first(out.back().vendor, value);
    if (label == "deviceType") type = value;
  }
  finish();
  return out;
}

Value to_value(const XServer& server) {
  Value screens = Value::array();
  for (const XScreen& screen : server.screens)
    screens.push(Value::object({{"width", screen.width}, {"height", screen.height}}));
  Value extensions = Value::array();
  for (const XExtension& extension : server.extensions)
    extensions.push(Value::object({{"name", extension.name}, {"opcode", extension.opcode}}));
  return Value::object({{"display", server.display},
                        {"vendor", server.vendor},
                        {"release", server.release},
                        {"screens", std::move(screens)},
                        {"extensions", std::move(extensions)}});
}

XServer parse_xdpyinfo(std::string_view text) {
  constexpr std::string_view k_opcode = "  (opcode: ";
  XServer out;
  std::string number;
  for (const std::string_view line : base::split(text, '\n')) {
    if (const std::size_t at = line.find(k_opcode); at != std::string_view::npos) {
      out.extensions.push_back(
          {std::string(base::trim(line.substr(0, at))), number_at(line.substr(at + k_opcode.size()))});
      continue;
    }
    const auto field = field_of(line, ':');
    if (!field) continue;
    const auto& [label, value] = *field;
    if (label == "name of display") out.display = value;
    if (label == "vendor string") out.vendor = value;
    if (label == "vendor release number") number = value;
    if (label == "X.Org version") out.release = value;
    if (label == "dimensions") {
      const std::size_t by = value.find('x');
      if (by != std::string_view::npos)
        out.screens.push_back({number_at(value.substr(0, by)), number_at(value.substr(by + 1))});
    }
  }
  if (out.release.empty()) out.release = number;
  return out;
}

bool is_answer(std::string_view tool, std::string_view text) {
  if (tool == "glxinfo") return !parse_glxinfo(text).empty();
  if (tool == "eglinfo") return !parse_eglinfo(text).empty();
  if (tool == "vulkaninfo") return !parse_vulkaninfo(text).empty();
  return tool != "xdpyinfo" || !parse_xdpyinfo(text).vendor.empty();
}

}  // namespace orch::probe
