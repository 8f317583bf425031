// The parts of finish-stack that make nothing, and say why.
#include "action/finish_parts.hpp"

#include <fmt/format.h>

namespace orch::action {

namespace {

Result<bool> has_entries(const FinishStack& stack, std::string_view path) {
  ORCH_TRY(const auto place, find_in_view(stack.view, path, image::NodeType::directory));
  if (!place) return false;
  ORCH_TRY(const auto names, stack.view.list(place->node));
  return !names.empty();
}

FinishReport not_needed(std::string id, std::string detail) {
  FinishReport report;
  report.id = std::move(id);
  report.detail = std::move(detail);
  return report;
}

}  // namespace

// The caches hold times and the byte order of the machine that made them, and fontconfig does without.
Result<FinishReport> finish_fonts(const FinishStack& stack, image::SmallTree&) {
  ORCH_TRY(const bool fonts, has_entries(stack, "usr/share/fonts"));
  return not_needed("fontconfig",
                    fonts ? "fontconfig reads the font folders of the stack itself where it has no cache"
                          : "the stack has no fonts: those of the host are used");
}

// Modules that giomodule.cache does not name are loaded all the same, at the start of a program.
Result<FinishReport> finish_gio_modules(const FinishStack& stack, image::SmallTree&) {
  ORCH_TRY(const std::vector<ViewPlace> libraries, library_directories(stack.view));
  for (const ViewPlace& library : libraries) {
    ORCH_TRY(const bool modules, has_entries(stack, library.path + "/gio/modules"));
    if (modules) return not_needed("gio-modules", "GIO loads modules that no cache names, too");
  }
  return not_needed("gio-modules", "the stack has no GIO modules");
}

// mimeinfo.cache says which programs open which files: a matter of the host's desktop.
Result<FinishReport> finish_desktop_entries(const FinishStack&, image::SmallTree&) {
  return not_needed("desktop-entries", "programs of the stack are not offered to open files");
}

}  // namespace orch::action
