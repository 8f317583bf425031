#include "image/interpreter.hpp"

#include "base/text.hpp"
#include "image/elf_header.hpp"

#include <fmt/format.h>

#include <memory>
#include <optional>

namespace orch::image {

Result<std::string> kind_at(const FileTree& view, const FexPath& place) {
  if (place.type != NodeType::file) return std::string(to_string(place.type));
  ORCH_TRY(const std::unique_ptr<RandomAccess> file, view.open(place.node));
  ORCH_TRY(const std::optional<ElfHeader> header, read_elf_header(*file));
  return header ? machine_name(header->machine, header->is_64) : std::string("no ELF file");
}

Result<std::string> interpreter_defect(const FileTree& view, std::string_view interpreter,
                                       std::uint16_t machine) {
  if (!interpreter.starts_with('/')) return std::string("which is no absolute path");
  ORCH_TRY(const FexPath found, fex_resolve(view, interpreter, FexLookup::loader));
  switch (found.outcome) {
    case FexPath::Outcome::missing:
      return std::string("which is not in the stack");
    case FexPath::Outcome::loop:
      return std::string("which is a loop of links");
    case FexPath::Outcome::escapes:
      return fmt::format("which leads out of the stack, to '{}' of the host", base::printable(found.path));
    case FexPath::Outcome::found:
      break;
  }
  ORCH_TRY(const std::string kind, kind_at(view, found));
  const std::string expected = machine_name(machine, true);
  if (kind == expected) return std::string();
  if (found.type != NodeType::file) return "which is a " + kind;
  if (kind == "no ELF file") return "which is " + kind;
  return fmt::format("which is for {}, expected {}", kind, expected);
}

}  // namespace orch::image
