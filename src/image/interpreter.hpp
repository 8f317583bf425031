// The interpreter of a program (PT_INTERP) in a root file system, as FEX looks for it.
#pragma once

#include "base/result.hpp"
#include "image/fex_path.hpp"
#include "image/file_tree.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace orch::image {

// What lies at a place that was found: the machine of an ELF file ("x86_64"), "no ELF file", or "directory" and the
// like.
Result<std::string> kind_at(const FileTree& view, const FexPath& place);

// Why a program of that machine (e_machine) cannot be started by this interpreter: "which is not in the stack".
// Empty: it can. Errors only where the view cannot be read.
Result<std::string> interpreter_defect(const FileTree& view, std::string_view interpreter,
                                       std::uint16_t machine);

}  // namespace orch::image
