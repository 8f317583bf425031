// A private apt: its own configuration, lists and (empty) package status below one directory of the cache.
// Nothing of the host's apt or dpkg state is read or written, except the entries of /etc/apt where the source
// says so, the keys that the host trusts, and the host's proxy settings. Needs no privileges.
#pragma once

#include "base/result.hpp"
#include "package/source.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace orch::package {

// What every function here is handed: where things lie and how programs are run.
struct Surroundings {
  std::string cache_dir;  // the tool's cache; apt roots lie in apt/, downloads in downloads/
  sys::ProcessRunner* processes = nullptr;
  sys::Environment environment;       // PATH and proxy variables are taken from it
  std::string host_apt = "/etc/apt";  // for tests
  std::string os_release = "/etc/os-release";
  std::function<void(std::string_view)> log;  // may be empty
};

class AptRoot {
 public:
  // Makes or reuses CACHE/apt/DIGEST, where DIGEST covers the entries and the form of the configuration, and
  // locks it against other processes for the lifetime of the object. Fails with a hint where apt-get is not
  // installed.
  static Result<AptRoot> open(const Source& source, const Surroundings& around);

  // apt-get update. Any list that cannot be had is an error: half of an archive would resolve to something
  // else.
  Result<> update();
  // update(), unless the lists are there.
  Result<> update_if_missing();

  // Runs an apt program ("apt-get", "apt-cache", "apt-helper") with this root, in `directory` (empty: the
  // root's). How it ended is in the Exit.
  Result<sys::Exit> run(std::vector<std::string> argv, const std::string& directory = {}) const;

  const std::string& directory() const { return directory_; }
  const Source& source() const { return source_; }
  const Surroundings& around() const { return around_; }

 private:
  AptRoot(Source source, Surroundings around, std::string directory, sys::FileLock lock)
      : source_(std::move(source)),
        around_(std::move(around)),
        directory_(std::move(directory)),
        lock_(std::move(lock)) {}

  Source source_;
  Surroundings around_;
  std::string directory_;
  sys::FileLock lock_;
};

}  // namespace orch::package
