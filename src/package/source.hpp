// A package source: a [source.NAME] table of a profile or of profiles/sources/*.toml, checked and made a
// plain value. What a source can do (resolve, locate) is in apt_source.hpp.
#pragma once

#include "base/result.hpp"
#include "base/value.hpp"

#include <string>
#include <vector>

namespace orch::package {

using base::Result;
using base::Value;

// apt is read; the others are kept as they are for the steps and messages that name them.
enum class SourceKind { apt, dnf, dir, files };

// Keys of an apt source:
//   kind        "apt"
//   host        true: the entries of this machine's own /etc/apt that serve amd64; excludes the keys below
//   uris        archive roots ("http://…/debian", "file:/srv/repo"); the first that works is apt's choice
//   suites      "bookworm", "bookworm-updates", …; "./" (or another path that ends in '/') for a flat
//   repository components  "main", …; none for flat repositories signed_by   absolute path of the archive's
//   key file; empty: the keys that the host's apt trusts trusted     true: unsigned metadata are accepted
//   (local repositories only: it gives up apt's signature check)
// Further keys (distribution, release, description, fingerprints) describe the source for the reader and are
// kept out of it.
struct Source {
  std::string name;  // in the profile; "auto" is the distribution of the host
  SourceKind kind = SourceKind::apt;
  bool host = false;
  std::vector<std::string> uris;
  std::vector<std::string> suites;
  std::vector<std::string> components;
  std::string signed_by;
  bool trusted = false;
  std::string other;  // kinds that are not read: the table's canonical text, without what names this machine

  // What a lock file records of it: equal texts mean "resolve in the same archives". No host path is in it.
  std::string identity() const;
};

// `table` may be null for "auto": the host's own archives. Errors carry the place of the key.
Result<Source> source_from_value(std::string_view name, const Value& table);

// Whether "auto" means something on a machine with this os-release text and architecture (uname -m): Debian
// and Ubuntu on x86_64, and Debian elsewhere, whose archive has all architectures in one place.
Result<> check_host_serves_amd64(std::string_view os_release, std::string_view machine);

}  // namespace orch::package
