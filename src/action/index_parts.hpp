// Indexes (elf/index.hpp) as steps make and read them.
#pragma once

#include "base/result.hpp"
#include "elf/index.hpp"

#include <memory>
#include <string>

namespace orch::action {

using base::Result;

// Used where it lies in the file. nullptr: the file has zero bytes, for the layer is not needed.
Result<std::shared_ptr<const elf::Index>> read_index(const std::string& path);

}  // namespace orch::action
