#include "launch/environment.hpp"

#include <algorithm>
#include <array>

namespace orch::launch {

namespace {

// Prefixes and names, not patterns: a variable is added here when it was seen to pull a host's file into a
// guest.
constexpr std::array<std::string_view, 5> k_prefixes = {"LD_", "GST_PLUGIN_", "QT_PLUGIN_",
                                                        "GDK_PIXBUF_MODULE", "__EGL_"};
constexpr std::array<std::string_view, 31> k_names = {
    "GIO_MODULE_DIR",
    "GIO_EXTRA_MODULES",
    "GTK_PATH",
    "GTK_EXE_PREFIX",
    "GTK_DATA_PREFIX",
    "GTK_MODULES",
    "GTK_IM_MODULE_FILE",
    "GTK3_MODULES",
    "GSETTINGS_SCHEMA_DIR",
    "GST_REGISTRY",
    "QML_IMPORT_PATH",
    "QML2_IMPORT_PATH",
    "QT_QPA_PLATFORM_PLUGIN_PATH",
    "PYTHONHOME",
    "PYTHONPATH",
    "PERL5LIB",
    "PERLLIB",
    "RUBYLIB",
    "NODE_PATH",
    "TCLLIBPATH",
    "LIBGL_DRIVERS_PATH",
    "GBM_BACKENDS_PATH",
    "VK_ICD_FILENAMES",
    "VK_DRIVER_FILES",
    "VK_LAYER_PATH",
    "LIBVA_DRIVERS_PATH",
    "VDPAU_DRIVER_PATH",
    "OCL_ICD_VENDORS",
    "GCONV_PATH",
    "LOCPATH",
    "XLOCALEDIR",
};

void put(Pairs& pairs, const std::string& name, std::string value) {
  const auto same = [&name](const auto& pair) { return pair.first == name; };
  const auto found = std::find_if(pairs.begin(), pairs.end(), same);
  if (found == pairs.end())
    pairs.emplace_back(name, std::move(value));
  else
    found->second = std::move(value);
}

}  // namespace

std::string expand_appdir(std::string text, std::string_view appdir) {
  constexpr std::string_view k_variable = "${appdir}";
  for (std::size_t at = text.find(k_variable); at != std::string::npos; at = text.find(k_variable, at)) {
    text.replace(at, k_variable.size(), appdir);
    at += appdir.size();
  }
  return text;
}

Pairs app_environment(const model::LaunchSpec& spec) {
  Pairs out;
  if (!spec.appdir.empty()) put(out, "APPDIR", spec.appdir);
  if (!spec.appimage.empty()) {
    put(out, "APPIMAGE", spec.appimage);
    put(out, "ARGV0", spec.appimage);
  }
  if (!spec.directory.empty()) put(out, "OWD", spec.directory);
  for (const auto& [name, value] : spec.environment) put(out, name, expand_appdir(value, spec.appdir));
  return out;
}

bool leads_to_host_libraries(std::string_view name) {
  const auto begins = [name](std::string_view prefix) { return name.substr(0, prefix.size()) == prefix; };
  return std::any_of(k_prefixes.begin(), k_prefixes.end(), begins) ||
         std::find(k_names.begin(), k_names.end(), name) != k_names.end();
}

sys::Environment native_environment(const model::LaunchSpec& spec, const sys::Environment& host) {
  sys::Environment out;
  for (const auto& [name, value] : host)
    if (!leads_to_host_libraries(name)) out.emplace(name, value);
  out["PATH"] = k_guest_path;
  for (auto& [name, value] : app_environment(spec)) out[name] = std::move(value);
  return out;
}

}  // namespace orch::launch
