// The payload of an RPM package: a cpio archive of the form "new ASCII" (newc), from any stream of bytes.
//
// libarchive reads it too, but at each file with several names walks a list of all the others that miss some: an
// archive of a few MiB keeps it busy for hours. Here nothing is kept from one entry to the next.
//
// Form: for each entry a head of 110 bytes, the magic 070701 (or 070702, with a sum that nobody checks) and 13
// numbers of 8 hexadecimal digits: inode, mode, uid, gid, links, mtime, size, device (major, minor), what the node
// is of (major, minor), length of the name with its NUL, sum. The name and the content are each padded to 4 bytes;
// the entry TRAILER!!! ends it.
#pragma once

#include "base/result.hpp"
#include "package/archive_entry.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

namespace orch::package {

struct CpioEntry {
  ArchiveEntry entry;                                             // never of kind hard_link
  std::tuple<std::uint32_t, std::uint32_t, std::uint32_t> inode;  // device and number
  std::uint32_t links = 1;                                        // names of the file; not checked
};

class CpioReader {
 public:
  // Fills the buffer with what comes next; fewer bytes than asked for only at the end.
  using Stream = std::function<Result<std::size_t>(char* buffer, std::size_t size)>;
  explicit CpioReader(Stream stream) : stream_(std::move(stream)) {}

  // The next entry, past what is left of the one before; nullopt at the end, up to which everything was read. Errors
  // of kind corrupt say what is wrong, of kind unsupported what is sound and not read; the caller names the file.
  Result<std::optional<CpioEntry>> next();
  // Content of a file that next() gave; 0 at its end.
  Result<std::size_t> read(char* buffer, std::size_t size);

 private:
  using Head = std::array<std::uint32_t, 13>;
  Result<Head> head();
  Result<std::string> text(std::uint32_t length);
  Result<> exactly(char* buffer, std::size_t size);
  Result<> skip(std::uint64_t count);
  Result<> finish();

  Stream stream_;
  std::uint64_t left_ = 0;  // content of the present entry that was not read
  std::uint32_t padding_ = 0;
};

}  // namespace orch::package
