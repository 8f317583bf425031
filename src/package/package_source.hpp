// What a source of packages can do, whatever its kind: turn names into exact packages, say who provides a
// library, and bring archives. The kinds are in apt_source, dnf_source and file_sources; nothing above knows
// one from another.
#pragma once

#include "base/result.hpp"
#include "package/locked_package.hpp"
#include "package/source.hpp"
#include "sys/process.hpp"

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace orch::package {

// What a source is handed: where things lie and how programs are run.
struct Surroundings {
  std::string cache_dir;  // the tool's cache; apt/, dnf/ and downloads/ lie in it
  sys::ProcessRunner* processes = nullptr;
  sys::Environment environment;       // PATH and proxy variables are taken from it
  std::string host_apt = "/etc/apt";  // for tests
  std::string host_archives = "/var/cache/apt/archives";
  std::string os_release = "/etc/os-release";
  std::function<void(std::string_view)> log;  // may be empty
  // Sources whose lists this process has brought up to date (refresh_key): it does so once. May be null.
  std::set<std::string>* refreshed = nullptr;
};

// Packages that answer a request, sorted, with their reasons; `notes` say what the answer leaves open.
struct Resolution {
  std::vector<LockedPackage> packages;
  std::vector<std::string> notes;
};

struct Download {
  LockedPackage package;
  std::string file;  // where to put it; its directory exists
};

// Soname to the names of packages that have it, best first. Every soname that was asked for is a key.
using Providers = std::map<std::string, std::vector<std::string>>;

class PackageSource {
 public:
  PackageSource() = default;
  PackageSource(const PackageSource&) = delete;
  PackageSource& operator=(const PackageSource&) = delete;
  virtual ~PackageSource() = default;

  // Brings the package lists up to date. A list that cannot be had is an error: half of an archive would
  // resolve to something else.
  virtual Result<> refresh() = 0;
  // refresh(), unless the lists are there.
  virtual Result<> refresh_if_missing() = 0;

  // The closure of `names` in an empty system, without recommended packages. The lists must be there. Errors:
  // unknown package (with the nearest name), no candidate, contradiction.
  virtual Result<Resolution> resolve(const std::vector<std::string>& names) = 0;
  // One package by itself, for the architecture "amd64" or "x86_64" (the kind's own word is found), or for
  // another one where the source can say it. Its reason is "asked".
  virtual Result<LockedPackage> exact(const std::string& name, const std::string& architecture) = 0;
  // Who has these libraries, as files of these names in default library directories. Order: packages of
  // x86_64 before those of no architecture, sections oldlibs, debug and the like last, then the shortest
  // name, then by alphabet.
  virtual Result<Providers> providers(const std::vector<std::string>& sonames) = 0;

  // Brings archives, and the lists before, where the kind needs them and they are not there. The archives' bytes are not verified here: the caller holds each against the lock. A package
  // that the source has no more is not an error: its file is absent afterwards, and the caller knows other
  // places.
  virtual Result<> download(const std::vector<Download>& wanted) = 0;
};

// Fails where the programs that the kind needs are not installed, naming the package that has them.
Result<std::unique_ptr<PackageSource>> open_source(const Source& source, const Surroundings& around);

// "source 'NAME'", printable.
std::string source_label(const Source& source);

// What a source is known by in Surroundings::refreshed.
std::string refresh_key(const Source& source);

// Writes "required by NAME" into the reason of each package that was not asked for: NAME is the first that
// needs it, breadth first from what was asked for, in alphabetical order. `needs`: for each package (as in
// `packages`) the indices of those that it needs.
void explain_closure(std::vector<LockedPackage>& packages,
                     const std::vector<std::vector<std::size_t>>& needs);

}  // namespace orch::package
