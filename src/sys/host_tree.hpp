// The files of a host: of this machine, or of a tree that stands for one (a fixture, a mounted disk). Paths are those that the
// host itself would use.
#pragma once

#include "base/result.hpp"

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace orch::sys {

using base::Result;

class HostTree {
 public:
  // This machine.
  HostTree() = default;
  // `root` is what the host calls "/": no path, ".." or link leads out of it.
  static HostTree below(const std::string& root);

  // All of these follow links. `path` is absolute.
  Result<struct stat> stat(const std::string& path) const;
  bool exists(const std::string& path) const { return stat(path).has_value(); }
  bool is_directory(const std::string& path) const;
  bool is_program(const std::string& path) const;  // a file that this process may execute
  // What stands at `offset`; fewer bytes at the end of the file. Not of pipes and devices.
  Result<std::string> read(const std::string& path, std::size_t most, std::uint64_t offset = 0) const;
  Result<std::vector<std::string>> list(const std::string& path) const;  // names, sorted
  // Where the file lies on this machine. With links followed; an Error for a loop of links.
  Result<std::string> real_path(const std::string& path) const;

 private:
  std::string root_;  // "": this machine
};

}  // namespace orch::sys
