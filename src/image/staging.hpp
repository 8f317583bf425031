// A directory that untrusted trees are written into. Every name is checked, everything is created by
// descriptor of its parent, exclusively and without following links; no path is ever put together.
#pragma once

#include "base/result.hpp"
#include "sys/fd.hpp"

#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace orch::image {

using base::Result;

// Directories of a Staging by number; 0 is its root.
using DirIndex = std::uint32_t;

struct Times {
  std::int64_t mtime = 0;  // seconds
};

class Staging {
 public:
  // Creates `target`, which must not exist, with mode 0700 for the time of writing.
  static Result<Staging> create(const std::string& target);

  // Remembers and makes a directory. Directories must be made before their content, and before threads start.
  Result<DirIndex> add_directory(DirIndex parent, const std::string& name, std::uint32_t mode,
                                 std::int64_t mtime);
  void set_root(std::uint32_t mode, std::int64_t mtime);

  // Gives all directories their final mode (with u+rwx) and time, children first. The last thing to do.
  Result<> finish();

  const std::string& target() const { return target_; }
  // For messages: the path of `name` in `directory`, relative to the root.
  std::string path_of(DirIndex directory, std::string_view name) const;

 private:
  friend class StagingWriter;
  struct Directory {
    DirIndex parent = 0;
    std::string name;
    std::uint32_t mode = 0;
    std::int64_t mtime = 0;
  };
  Staging(std::string target, sys::Fd root)
      : target_(std::move(target)), root_(std::move(root)), directories_(1) {}

  std::string target_;
  sys::Fd root_;
  std::vector<Directory> directories_;
};

// Creates entries in a Staging. One per thread: it holds open the directories used last.
class StagingWriter {
 public:
  explicit StagingWriter(const Staging& staging) : staging_(staging) {}

  // A new empty file, mode 0600, open for writing.
  Result<sys::Fd> create_file(DirIndex directory, const std::string& name);
  // Final mode and time of a file written through `fd`, then closes it.
  Result<> finish_file(sys::Fd fd, DirIndex directory, const std::string& name, std::uint32_t mode,
                       std::int64_t mtime);
  Result<> make_symlink(DirIndex directory, const std::string& name, const std::string& target,
                        std::int64_t mtime);
  Result<> make_hard_link(DirIndex from_directory, const std::string& from, DirIndex directory,
                          const std::string& name);
  Result<int> directory_fd(DirIndex directory);

 private:
  const Staging& staging_;
  std::list<std::pair<DirIndex, sys::Fd>> open_;  // the one used last in front
  std::unordered_map<DirIndex, std::list<std::pair<DirIndex, sys::Fd>>::iterator> where_;
};

}  // namespace orch::image
