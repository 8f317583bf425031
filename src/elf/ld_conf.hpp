// The configuration of ldconfig, /etc/ld.so.conf: which directories the library cache is made of.
#pragma once

#include "base/result.hpp"
#include "image/file_tree.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace orch::elf {

using base::Result;

// The directories named in `path` and the files that it includes (shell patterns, relative ones below the
// directory of the including file), in the order in which ldconfig meets them, once each. Comments, the old
// "hwcap" lines and "=TYPE" behind a directory are passed over. Empty where there is no such file. Bounded:
// 16 files deep, 4096 files, 1 MiB each.
Result<std::vector<std::string>> read_ld_conf(const image::FileTree& root,
                                              std::string_view path = "/etc/ld.so.conf");

}  // namespace orch::elf
