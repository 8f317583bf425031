#include "probe/renderers.hpp"

#include <doctest/doctest.h>

using namespace orch::probe;

TEST_CASE("glxinfo") {
  const auto found = parse_glxinfo(
      "name of display: :1\n"
      "OpenGL vendor string: Mesa/X.org\n"
      "OpenGL renderer string: llvmpipe (LLVM 15.0.6, 256 bits)\n"
      "OpenGL core profile version string: 4.5 (Core Profile) Mesa 22.3.6\n"
      "OpenGL version string: 4.5 (Compatibility Profile) Mesa 22.3.6\n");
  REQUIRE(found.size() == 1);
  CHECK(found[0].api == "GLX");
  CHECK(found[0].vendor == "Mesa/X.org");
  CHECK(found[0].renderer == "llvmpipe (LLVM 15.0.6, 256 bits)");
  CHECK(found[0].version == "4.5 (Core Profile) Mesa 22.3.6");
  CHECK(found[0].kind == RendererKind::software);
  CHECK(parse_glxinfo("Error: unable to open display :1\n").empty());
  CHECK(parse_glxinfo("").empty());
}

TEST_CASE("eglinfo: each platform that works") {
  const auto found = parse_eglinfo(
      "GBM platform:\neglinfo: eglInitialize failed\n\n"
      "X11 platform:\nEGL API version: 1.5\nEGL vendor string: Mesa Project\nEGL version string: 1.5\n"
      "EGL driver name: swrast\n\n"
      "Device #0:\n\nPlatform Device platform:\nEGL API version: 1.5\nEGL vendor string: Mesa Project\n"
      "OpenGL core profile vendor: Mesa\nOpenGL core profile renderer: Apple M1 (G13G B1)\n");
  REQUIRE(found.size() == 2);
  CHECK(found[0].platform == "X11");
  CHECK(found[0].driver == "swrast");
  CHECK(found[0].version == "1.5");
  CHECK(found[0].kind == RendererKind::software);
  CHECK(found[1].renderer == "Apple M1 (G13G B1)");
  CHECK(found[1].kind == RendererKind::hardware);
  CHECK(parse_eglinfo("Wayland platform:\neglinfo: eglInitialize failed\n").empty());
}

TEST_CASE("eglinfo: what did not start") {
  using Names = std::vector<std::string>;
  CHECK(parse_egl_failures("GBM platform:\neglinfo: eglInitialize failed\n\nX11 platform:\r\neglinfo: "
                           "eglInitialize failed\r\n\nSurfaceless platform:\nEGL API version: 1.5\n") ==
        Names{"GBM", "X11"});
  CHECK(parse_egl_failures("eglinfo: eglInitialize failed\n") == Names{"default"});
  CHECK(parse_egl_failures("X11 platform:\nEGL API version: 1.5\n").empty());
}

TEST_CASE("tools that found nothing") {
  CHECK_FALSE(is_answer("glxinfo", "name of display: :1\nError: couldn't find RGB GLX visual or fbconfig\n"));
  CHECK(is_answer("glxinfo", "OpenGL renderer string: llvmpipe\n"));
  CHECK_FALSE(is_answer("eglinfo", "X11 platform:\neglinfo: eglInitialize failed\n"));
  CHECK(is_answer("eglinfo", "X11 platform:\nEGL API version: 1.5\n"));
  CHECK_FALSE(is_answer("vulkaninfo", "Devices:\n========\n"));
  CHECK(is_answer("vulkaninfo", "GPU0:\n\tdeviceName = llvmpipe\n"));
  CHECK_FALSE(is_answer("xdpyinfo", ""));
  CHECK(is_answer("xdpyinfo", "vendor string:    The X.Org Foundation\n"));
}

TEST_CASE("vulkaninfo: each device") {
  const auto found = parse_vulkaninfo(
      "Devices:\n========\nGPU0:\n\tvendorID           = 0x106b\n\tdeviceType         = "
      "PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU\n"
      "\tdeviceName         = Virtio-GPU Venus (Apple M1)\n\tdriverName         = venus\n\tdriverInfo        "
      " = "
      "Mesa 25.1\n"
      "GPU1:\n\tdeviceType         = PHYSICAL_DEVICE_TYPE_CPU\n\tdeviceName         = llvmpipe (LLVM 15.0.6, "
      "256 "
      "bits)\n"
      "\tdriverName         = llvmpipe\n"
      "GPU2:\n\tdeviceType         = PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU\n\tdeviceName         = Apple M1\n");
  REQUIRE(found.size() == 3);
  CHECK(found[0].kind == RendererKind::virtualised);
  CHECK(found[0].version == "Mesa 25.1");
  CHECK(found[0].vendor == "0x106b");
  CHECK(found[1].kind == RendererKind::software);
  CHECK(found[2].kind == RendererKind::hardware);
  CHECK(parse_vulkaninfo("ERROR: no driver\n").empty());
}

TEST_CASE("kinds of renderers") {
  CHECK(classify("Apple M2 Max (G14C B1)", "asahi") == RendererKind::hardware);
  CHECK(classify("zink Vulkan 1.3 (Virtio-GPU Venus (Apple M1))", "") == RendererKind::virtualised);
  CHECK(classify("zink Vulkan 1.3(llvmpipe (LLVM 15.0.6, 256 bits) (LLVMPIPE))", "") ==
        RendererKind::software);
  CHECK(classify("virgl (Mesa Intel UHD)", "virtio_gpu") == RendererKind::virtualised);
  CHECK(classify("Software Rasterizer", "") == RendererKind::software);
  CHECK(classify("", "") == RendererKind::unknown);
  CHECK(classify("", "virtio_gpu") == RendererKind::virtualised);
  CHECK(classify("", "vmwgfx") == RendererKind::virtualised);
  CHECK(classify("SVGA3D; build: RELEASE;  LLVM;", "vmwgfx") == RendererKind::virtualised);
  CHECK(classify("", "zink") == RendererKind::unknown);
  CHECK(classify("zink Vulkan 1.3(Apple M1 (MESA_HONEYKRISP))", "zink") == RendererKind::hardware);
  CHECK(classify("", "asahi") == RendererKind::hardware);
  CHECK(classify("", "kms_swrast") == RendererKind::software);
  CHECK(to_string(RendererKind::virtualised) == "virtualised");
}

TEST_CASE("xdpyinfo") {
  const XServer server = parse_xdpyinfo(
      "name of display:    :1\nvendor string:    The X.Org Foundation\nvendor release number:    12101007\n"
      "X.Org version: 1.21.1.7\nnumber of extensions:    2\n"
      "    GLX  (opcode: 150, base event: 95, base error: 158)\n    Generic Event Extension  (opcode: 128)\n"
      "screen #0:\n  dimensions:    800x600 pixels (203x152 millimeters)\n");
  CHECK(server.display == ":1");
  CHECK(server.vendor == "The X.Org Foundation");
  CHECK(server.release == "1.21.1.7");
  REQUIRE(server.extensions.size() == 2);
  CHECK(server.extensions[0].name == "GLX");
  CHECK(server.extensions[0].opcode == 150);
  CHECK(server.extensions[1].name == "Generic Event Extension");
  REQUIRE(server.screens.size() == 1);
  CHECK(server.screens[0].width == 800);
  CHECK(server.screens[0].height == 600);
  CHECK(parse_xdpyinfo("xdpyinfo:  unable to open display \":1\".\n").vendor.empty());
}
