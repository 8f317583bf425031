// What the readers of .deb and .rpm share of libarchive. Private to them: nobody else includes libarchive's
// types here.
#pragma once

#include "image/libarchive.hpp"
#include "package/archive_entry.hpp"

#include <memory>

namespace orch::package {

using Archive = std::unique_ptr<archive, decltype(&archive_read_free)>;

inline Archive new_reader(const image::Libarchive& api) {
  return {api.archive_read_new(), api.archive_read_free};
}

constexpr std::size_t k_archive_buffer = 65536;

// One entry as ArchiveEntry. Names are bytes: in the C locale libarchive gives raw bytes for plain headers,
// and only UTF-8 for pax ones.
ArchiveEntry to_entry(const image::Libarchive& api, archive_entry* raw);

// The text of the handle's last error; "it cannot be read" where there is none.
std::string archive_complaint(const image::Libarchive& api, archive* handle);

}  // namespace orch::package
