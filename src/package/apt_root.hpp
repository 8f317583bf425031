// A private apt: its own configuration, lists and (empty) package status below one directory of the cache.
// Nothing of the host's apt or dpkg state is read or written, except the entries of /etc/apt where the source
// says so, the keys that the host trusts, and the host's proxy settings. Needs no privileges.
#pragma once

#include "base/result.hpp"
#include "package/package_source.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace orch::package {

class AptRoot {
 public:
  // Makes or reuses CACHE/apt/DIGEST, where DIGEST covers the entries, the keys and the form of the configuration, and
  // locks it against other processes for the lifetime of the object. Fails with a hint where apt-get is not
  // installed.
  static Result<AptRoot> open(const Source& source, const Surroundings& around);

  // apt-get update. Any list that cannot be had is an error: half of an archive would resolve to something
  // else. `doing` is what the log says.
  Result<> update(std::string_view doing = "updating the package lists");
  // update(), unless the lists are there.
  Result<> update_if_missing();

  // Runs an apt program ("apt-get", "apt-cache", "apt-helper") with this root, in `directory` (empty: the
  // root's). How it ended is in the Exit.
  Result<sys::Exit> run(std::vector<std::string> argv, const std::string& directory = {}) const;

  // The same, without waiting for its end: its standard output goes to a descriptor.
  Result<sys::Child> start(std::vector<std::string> argv, int stdout_fd) const;
  // The files of the archive's Contents indices, fetched if they are not there; empty where the archive has
  // none. From then on update() brings them too.
  Result<std::vector<std::string>> contents();

  const std::string& directory() const { return directory_; }
  const Source& source() const { return source_; }
  const Surroundings& around() const { return around_; }

 private:
  AptRoot(Source source, Surroundings around, std::string directory, sys::FileLock lock)
      : source_(std::move(source)),
        around_(std::move(around)),
        directory_(std::move(directory)),
        lock_(std::move(lock)) {}

  Result<sys::Command> command(std::vector<std::string> argv, const std::string& directory) const;

  Source source_;
  Surroundings around_;
  std::string directory_;
  sys::FileLock lock_;
};

}  // namespace orch::package
