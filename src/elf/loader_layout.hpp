// What a build of glibc's loader has built in: where it looks when nothing tells it, and what $LIB is.
//
// The loader keeps its default directories as consecutive strings, each beginning and ending with '/', in its
// read-only data ("/lib/x86_64-linux-gnu/", "/usr/lib/x86_64-linux-gnu/", "/lib/", "/usr/lib/" for Debian,
// "/lib64/", "/usr/lib64/" for Fedora). The longest such run that names a directory lib… is taken; $LIB
// follows from its first directory. Whether the subdirectories that were searched before glibc 2.37 (tls/,
// x86_64/) count is told by the string "tls", which only those loaders have.
#pragma once

#include "base/result.hpp"
#include "image/random_access.hpp"

#include <optional>
#include <string>
#include <vector>

namespace orch::elf {

using base::Result;

struct LoaderLayout {
  std::vector<std::string> system_directories;  // each ends in '/'
  std::string lib;                              // $LIB: "lib/x86_64-linux-gnu", "lib64"
  bool legacy_hwcap = false;
  friend bool operator==(const LoaderLayout&, const LoaderLayout&) = default;
};

// For interpreters that do not say it: the layouts of the two families.
LoaderLayout debian_layout();
LoaderLayout fedora_layout();

// nullopt where the file has no such strings (no loader, or not glibc's). Reads its read-only segments, at
// most 8 MiB.
Result<std::optional<LoaderLayout>> read_loader_layout(const image::RandomAccess& interpreter);

}  // namespace orch::elf
