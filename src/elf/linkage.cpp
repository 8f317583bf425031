#include "elf/linkage.hpp"

#include <algorithm>

namespace orch::elf {

std::string_view to_string(Via via) {
  switch (via) {
    case Via::program:
      return "program";
    case Via::interpreter:
      return "interpreter";
    case Via::path:
      return "path";
    case Via::rpath:
      return "rpath";
    case Via::library_path:
      return "LD_LIBRARY_PATH";
    case Via::runpath:
      return "runpath";
    case Via::cache:
      return "cache";
    case Via::system:
      return "default";
    case Via::nowhere:
      return "missing";
  }
  return "";
}

std::string_view to_string(ProblemKind kind) {
  switch (kind) {
    case ProblemKind::missing_program:
      return "missing program";
    case ProblemKind::wrong_program:
      return "wrong program";
    case ProblemKind::missing_interpreter:
      return "missing interpreter";
    case ProblemKind::wrong_interpreter:
      return "wrong interpreter";
    case ProblemKind::foreign_loader:
      return "foreign loader";
    case ProblemKind::missing_library:
      return "missing library";
    case ProblemKind::bad_library:
      return "bad library";
    case ProblemKind::missing_version:
      return "missing version";
    case ProblemKind::isa_level:
      return "isa level";
    case ProblemKind::no_version_table:
      return "no version table";
    case ProblemKind::bad_cache:
      return "bad cache";
    case ProblemKind::preload:
      return "preload";
  }
  return "";
}

bool is_fatal(ProblemKind kind) {
  return kind != ProblemKind::foreign_loader && kind != ProblemKind::no_version_table &&
         kind != ProblemKind::bad_cache && kind != ProblemKind::preload;
}

std::vector<std::size_t> Linkage::needed_by(std::size_t index) const {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < objects.size(); ++i) {
    const std::span<const LinkedNeed> all = needs_of(objects[i]);
    if (std::any_of(all.begin(), all.end(), [&](const LinkedNeed& need) { return need.object == index; }))
      out.push_back(i);
  }
  return out;
}

void Linkage::clear() {
  program.clear();
  interpreter.clear();
  is_static = false;
  objects.clear();
  needs.clear();
  problems.clear();
}

bool Linkage::starts() const {
  return std::none_of(problems.begin(), problems.end(),
                      [](const Problem& problem) { return is_fatal(problem.kind); });
}

}  // namespace orch::elf
