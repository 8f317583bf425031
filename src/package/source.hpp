// A package source: a [source.NAME] table of a profile or of profiles/sources/*.toml, checked and made a
// plain value. What a source can do (resolve, download) is in package_source.hpp.
#pragma once

#include "base/result.hpp"
#include "base/value.hpp"

#include <string>
#include <vector>

namespace orch::package {

using base::Result;
using base::Value;

enum class SourceKind { apt, dnf, dir, files };

struct SourceFile {
  std::string url;
  std::string sha256;  // 64 hexadecimal digits
};

// Keys of a source, by the kinds that have them:
//   kind            "apt", "dnf", "dir" or "files"
//   host            apt: true means the entries of this machine's own /etc/apt that serve amd64; excludes
//                   uris, suites, components and signed_by
//   uris            apt, dnf: archive roots ("http://…/debian", "file:/srv/repo"); of apt the first that
//                   works is apt's choice, of dnf each is a repository of its own
//   suites          apt: "bookworm", "bookworm-updates", …; "./" (or another path that ends in '/') for a
//                   flat repository
//   components      apt: "main", …; none for flat repositories
//   metalinks       dnf: each is a repository
//   signed_by       apt, dnf: absolute path of the archive's key file; empty: the keys that the host's apt
//                   trusts
//   fingerprints    fingerprints of all keys that this key file may have
//   allow_unsigned  apt: unsigned metadata are accepted; dnf: unsigned packages are. For local
//                   repositories; recorded in the lock file and the manifest. apt's old name is trusted
//   repo_gpgcheck   dnf: the repository's own metadata are signed too, and checked
//   archive_uris    roots where old packages are kept below the same paths; tried after the source itself;
//                   "{file}" in one stands for the file's name, without folders
//   path            dir: the folder
//   files           files: [{url, sha256}]
//   distribution    ID of the os-release that it belongs to
//   release         VERSION_ID of that os-release; dnf's $releasever
// Further keys (description) describe the source for the reader and are kept out of it.
struct Source {
  std::string name;  // in the profile; "auto" is the distribution of the host
  SourceKind kind = SourceKind::apt;
  bool host = false;
  std::vector<std::string> uris;
  std::vector<std::string> suites;
  std::vector<std::string> components;
  std::vector<std::string> metalinks;
  std::string signed_by;
  std::vector<std::string> fingerprints;  // upper case, without spaces
  bool allow_unsigned = false;
  bool repo_gpgcheck = false;
  std::vector<std::string> archive_uris;
  std::string path;
  std::vector<SourceFile> files;
  std::string distribution;
  std::string release;

  // What a lock file records of it: equal texts mean "resolve in the same archives". No host path is in it.
  std::string identity() const;
};

// `table` may be null for "auto": the host's own archives. Errors carry the place of the key.
Result<Source> source_from_value(std::string_view name, const Value& table);

// A field of an os-release file ("ID", "VERSION_ID"), without quotes; empty where it is absent.
std::string_view os_release_field(std::string_view text, std::string_view key);

// Whether "auto" means something on a machine with this os-release text and architecture (uname -m): Debian
// and Ubuntu on x86_64, and Debian elsewhere, whose archive has all architectures in one place.
Result<> check_host_serves_amd64(std::string_view os_release, std::string_view machine);

}  // namespace orch::package
