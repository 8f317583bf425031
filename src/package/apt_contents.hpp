// Which packages of an apt archive have a library: answered from its Contents indices, which apt fetches and
// checks.
#pragma once

#include "base/result.hpp"
#include "package/apt_root.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace orch::package {

// Fetches the indices when they are first needed (tens of MB) and streams them. Fails where the archive has
// none.
Result<Providers> apt_providers(AptRoot& root, const std::vector<std::string>& sonames);

// Collects answers line by line: "PATH   SECTION/NAME,SECTION/NAME". Sections may have several parts.
class ContentsScan {
 public:
  explicit ContentsScan(const std::vector<std::string>& sonames);
  void line(std::string_view text);
  // Best first: sections oldlibs, debug and the like last, then the shortest name, then by alphabet.
  Providers take();

 private:
  std::map<std::string, std::map<std::string, bool>, std::less<>>
      found_;  // soname to package to "a section of last resort"
};

// Whether `path` (without leading '/') lies directly in a directory where the loader looks by itself on
// amd64, or on x86_64 of Fedora.
bool in_library_directory(std::string_view path);

// Names by length, then by alphabet; those in `last` after the others.
std::vector<std::string> best_first(const std::map<std::string, bool>& names_with_last);

}  // namespace orch::package
