// The functions of libarchive that are used here and in src/package. Loaded at first use: libarchive brings
// libxml2 and ICU, which cost each start of the program 2 ms (docs/design/performance.md).
#pragma once

#include "base/result.hpp"

#include <archive.h>
#include <archive_entry.h>

namespace orch::image {

using base::Result;

#define ORCH_ARCHIVE_FUNCTIONS(X)        \
  X(archive_entry_filetype)              \
  X(archive_entry_hardlink)              \
  X(archive_entry_hardlink_utf8)         \
  X(archive_entry_mtime)                 \
  X(archive_entry_pathname)              \
  X(archive_entry_pathname_utf8)         \
  X(archive_entry_perm)                  \
  X(archive_entry_rdevmajor)             \
  X(archive_entry_rdevminor)             \
  X(archive_entry_size)                  \
  X(archive_entry_symlink)               \
  X(archive_entry_symlink_utf8)          \
  X(archive_entry_xattr_next)            \
  X(archive_entry_xattr_reset)           \
  X(archive_errno)                       \
  X(archive_error_string)                \
  X(archive_read_data)                   \
  X(archive_read_free)                   \
  X(archive_read_new)                    \
  X(archive_read_next_header)            \
  X(archive_read_open)                   \
  X(archive_read_open1)                  \
  X(archive_read_open_filename)          \
  X(archive_read_set_callback_data)      \
  X(archive_read_set_read_callback)      \
  X(archive_read_set_seek_callback)      \
  X(archive_read_set_skip_callback)      \
  X(archive_read_support_filter_bzip2)   \
  X(archive_read_support_filter_gzip)    \
  X(archive_read_support_filter_lzma)    \
  X(archive_read_support_filter_rpm)     \
  X(archive_read_support_filter_xz)      \
  X(archive_read_support_filter_zstd)    \
  X(archive_read_support_format_ar)      \
  X(archive_read_support_format_iso9660) \
  X(archive_read_support_format_raw)     \
  X(archive_read_support_format_tar)     \
  X(archive_set_error)

// Each function under its own name: `api.archive_read_new()`.
struct Libarchive {
#define ORCH_ARCHIVE_MEMBER(name) decltype(&::name) name = nullptr;
  ORCH_ARCHIVE_FUNCTIONS(ORCH_ARCHIVE_MEMBER)
#undef ORCH_ARCHIVE_MEMBER
};

// The library, loaded by the first call; the pointer is valid until the process ends. Safe to call from
// several threads. Fails where libarchive is not installed, naming the package.
Result<const Libarchive*> libarchive();

}  // namespace orch::image
