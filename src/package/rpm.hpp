// Reading a .rpm in process: the headers and the payload's cpio (cpio.hpp) by our own code, its compression by
// libarchive.
// Knows nothing of where things go, and checks no signature: rpmkeys does (rpm_keys.hpp).
//
// Form (RPM 3 to 5, which write the same file): a lead of 96 bytes; a signature header, padded to 8 bytes;
// the main header; the payload. A header: 8e ad e8 01, 4 zero bytes, number of entries, bytes of data (both
// big-endian), the entries of 16 bytes {tag, type, offset, count}, the data. Tags:
// https://rpm-software-management.github.io/rpm/.
#pragma once

#include "base/result.hpp"
#include "package/archive_entry.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace orch::package {

// A dependency as the header has it; `name` may be a package, a file, a soname ("libx.so.1()(64bit)") or a
// rich expression that begins with '('.
struct RpmRelation {
  std::string name;
  std::uint32_t flags = 0;  // 2 less, 4 greater, 8 equal; bit 24: what rpm itself must be able to do
  std::string version;
  bool is_rpmlib() const { return (flags & (1U << 24U)) != 0; }
};

struct RpmHeader {
  std::string name;
  std::string version;  // "[EPOCH:]VERSION-RELEASE"
  std::string architecture;
  std::string license;
  std::string compressor;  // "xz", "zstd", "gzip"; empty if the header does not say
  std::vector<RpmRelation> requires_list;
  std::vector<RpmRelation> provides;
  std::vector<std::string> files;  // absolute paths; without those that the package only owns (%ghost)
  bool has_signature = false;      // an OpenPGP one, of the header or of all; not checked here
};

// The headers alone. Errors of kind corrupt name the file; a source package is refused as unsupported.
Result<RpmHeader> read_rpm_header(const std::string& path);

// Calls `visit` for each entry of the payload, in its order, except that the names of a file with several
// come together: the file with its content, then hard links to it (the payload has the content at the last of
// the names). Reads to the very end. Errors of kind corrupt name the file; an archive with more entries, or longer
// names, than entry_bound.hpp allows is one.
Result<> read_rpm(const std::string& path, const EntryVisitor& visit);

enum class ArchiveFormat { deb, rpm };
// By the first bytes; an error of kind corrupt where it is neither.
Result<ArchiveFormat> package_format(const std::string& path);
// read_deb or read_rpm, as the first bytes say.
Result<> read_package(const std::string& path, const EntryVisitor& visit);

}  // namespace orch::package
