// Files that a person named on the command line to be written.
#pragma once

#include "base/result.hpp"

#include <string>
#include <string_view>

namespace orch::cli {

using base::Result;

// Whether `path` may be written, as far as can be told without doing it; for commands that work long before they write.
Result<> check_output(const std::string& path);

// What is a device or a pipe is written into, as a shell's > does; of a link its target is. Else the file is there whole, or as it was.
Result<> write_output(const std::string& path, std::string_view bytes);

}  // namespace orch::cli
