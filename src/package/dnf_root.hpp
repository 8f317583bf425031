// A private dnf: its own configuration, cache, state and (empty) package database below one directory of the
// cache. Nothing of the host's dnf or rpm state is read or written. Works with dnf 4 and dnf 5, on any
// architecture, as any user: dnf 4 demands to be root even to compute, so it gets a user namespace where the
// caller is not.
#pragma once

#include "base/result.hpp"
#include "package/package_source.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"

#include <string>
#include <utility>
#include <vector>

namespace orch::package {

struct DnfRepository {
  std::string id;   // "repo-1", …; of a metalink what its "repo=" says
  std::string uri;  // with a final '/'; empty for a metalink
  std::string metalink;
};

// The repositories of a source, in order; ids are unique.
std::vector<DnfRepository> dnf_repositories(const Source& source);

// dnf.conf with the repositories in it. Paths in it are below the private root, but that of the keys.
std::string dnf_configuration(const Source& source, int generation, const std::string& key_file);

// The command line of one call; `arguments` is what comes after the options that every call has.
std::vector<std::string> dnf_command_line(const std::string& program, const std::string& directory,
                                          const std::string& release, std::vector<std::string> arguments);

class DnfRoot {
 public:
  // Makes or reuses CACHE/dnf/DIGEST, where DIGEST covers the configuration and the keys, and locks it against other
  // processes for the lifetime of the object. Holds the source's key file against its fingerprints, and gives dnf a
  // copy of these keys. Fails with a hint where dnf is not installed.
  static Result<DnfRoot> open(const Source& source, const Surroundings& around);

  Result<> update();
  Result<> update_if_missing();

  // Runs dnf with this root. How it ended is in the Exit.
  Result<sys::Exit> run(std::vector<std::string> arguments) const;

  // The primary.xml of each repository, as dnf has fetched and checked it.
  Result<std::vector<std::pair<DnfRepository, std::string>>> package_lists() const;

  const std::string& directory() const { return directory_; }
  const Source& source() const { return source_; }
  const Surroundings& around() const { return around_; }
  int generation() const { return generation_; }

 private:
  DnfRoot(Source source, Surroundings around, std::string directory, std::string program, int generation,
          sys::FileLock lock)
      : source_(std::move(source)),
        around_(std::move(around)),
        directory_(std::move(directory)),
        program_(std::move(program)),
        generation_(generation),
        lock_(std::move(lock)) {}

  Source source_;
  Surroundings around_;
  std::string directory_;
  std::string program_;
  int generation_ = 4;
  sys::FileLock lock_;
};

}  // namespace orch::package
