// What ldconfig would put into /etc/ld.so.cache for a root file system that is not mounted: the directories
// of its ld.so.conf and of its loader, and the libraries in them. Source: glibc's elf/ldconfig.c and
// sysdeps/unix/sysv/linux/x86_64 (2.36 to 2.42); the truth is tests/integration/test_finish_stack.py.
#pragma once

#include "base/result.hpp"
#include "elf/ld_cache.hpp"
#include "image/file_tree.hpp"

#include <optional>
#include <string>
#include <vector>

namespace orch::elf {

using base::Result;

struct LibraryScan {
  std::vector<std::string> directories;  // that were looked into, in order; absolute, as configured
  std::vector<LdCacheEntry> entries;     // in the order of the directories, names of one in byte order
};

// nullopt: the root has no x86_64 loader that is glibc's. Libraries of x86_64 and, where there are some, of
// i386; others are passed over. What differs from ldconfig: no links are made (a library whose soname is not
// there as a file is entered under its own name), and the subdirectories that glibc before 2.37 searched
// (tls, x86_64, haswell) are not looked into.
Result<std::optional<LibraryScan>> scan_libraries(const image::FileTree& root);

// Whether two caches say the same, whatever their bytes.
bool same_entries(const LdCache& cache, std::vector<LdCacheEntry> entries);

}  // namespace orch::elf
