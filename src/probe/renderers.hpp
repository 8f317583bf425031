// What the usual tools say of the graphics drivers that an application gets, taken apart into fields. Pure: text in, values out;
// nothing that a tool did not say is made up.
#pragma once

#include "base/value.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace orch::probe {

using base::Value;

// hardware: a GPU's own driver; virtualised: a driver that hands on to the host's (venus, virgl, native contexts have their own
// name and are hardware here); software: drawn by the processor; unknown: not said.
enum class RendererKind { hardware, virtualised, software, unknown };
std::string_view to_string(RendererKind kind);

struct Renderer {
  std::string api;       // "GLX", "EGL", "Vulkan"
  std::string platform;  // EGL: "X11", "GBM", …; empty for the others
  std::string vendor;    // the texts of the tool; empty where it does not say
  std::string renderer;
  std::string version;
  std::string driver;
  RendererKind kind = RendererKind::unknown;
};
Value to_value(const Renderer& renderer);

// By the names that Mesa's drivers give themselves (src/gallium, src/vulkan: get_name, deviceName) and, for Vulkan, by the
// type of the device (VkPhysicalDeviceType).
RendererKind classify(std::string_view renderer, std::string_view driver, std::string_view device_type = {});

// `glxinfo -B`: one, or none where it found no display or no GLX.
std::vector<Renderer> parse_glxinfo(std::string_view text);
// `eglinfo` (before Mesa 23 it names the driver only), one for each platform that works.
std::vector<Renderer> parse_eglinfo(std::string_view text);
// One word for each time that eglinfo said "eglInitialize failed": the platform, as it names them ("X11"); "default" where it names
// none. Its exit status is how many they are.
std::vector<std::string> parse_egl_failures(std::string_view text);
// `vulkaninfo --summary`, one for each device.
std::vector<Renderer> parse_vulkaninfo(std::string_view text);

struct XExtension {
  std::string name;
  int opcode = 0;  // major
};
struct XScreen {
  int width = 0;  // pixels
  int height = 0;
};
struct XServer {
  std::string display;
  std::string vendor;
  std::string release;  // "1.21.1.7" where the server is X.Org's, else its vendor release number
  std::vector<XScreen> screens;
  std::vector<XExtension> extensions;
};
Value to_value(const XServer& server);
// `xdpyinfo -queryExtensions`; all empty where it could not open the display.
XServer parse_xdpyinfo(std::string_view text);

// Whether that tool's text names a renderer, or a server: some end with status 0 where they found nothing.
bool is_answer(std::string_view tool, std::string_view text);

}  // namespace orch::probe
