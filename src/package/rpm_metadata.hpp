// primary.xml of an RPM repository: what packages it has, their SHA-256, and what they need and provide. dnf
// fetches and checks the file (against repomd.xml); it shows no checksums, so this reads them.
//
// Form: https://createrepo.baseurl.org/ and the documents of libdnf; <package> elements below <metadata>,
// compressed with gzip, xz or zstd.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace orch::package {

using base::Result;

struct RpmMetadata {
  std::string name;
  std::string architecture;
  std::string version;  // "[EPOCH:]VERSION-RELEASE"; an epoch of 0 is left out
  std::string checksum_type;
  std::string checksum;
  std::uint64_t size = 0;
  std::string location;  // below the repository's root
  std::vector<std::string> provides;
  std::vector<std::string> requirements;
  std::vector<std::string> files;  // those that primary.xml has: executables and configuration
};

// Calls `visit` for each package, in the order of the file; holds one at a time. Errors of kind corrupt name
// the file.
Result<> read_primary(const std::string& path, const std::function<Result<>(const RpmMetadata&)>& visit);

// The same for a text that comes in pieces; `name` is for messages.
class PrimaryReader {
 public:
  PrimaryReader(std::string name, std::function<Result<>(const RpmMetadata&)> visit)
      : name_(std::move(name)), visit_(std::move(visit)) {}
  Result<> feed(std::string_view piece);
  // Fails where the text ended in the middle.
  Result<> finish() const;

 private:
  struct Tag;
  Result<> tag(std::string_view inside);
  void open(const Tag& tag);
  Result<> close(std::string_view name);
  void entry(const Tag& tag);

  std::string name_;
  std::function<Result<>(const RpmMetadata&)> visit_;
  std::string rest_;  // what came and is not read yet: the beginning of a text or a tag
  std::string text_;  // since the last tag
  std::string list_;  // "rpm:provides" or "rpm:requires", while inside
  RpmMetadata package_;
  bool in_package_ = false;
  bool began_ = false;
  bool ended_ = false;
};

}  // namespace orch::package
