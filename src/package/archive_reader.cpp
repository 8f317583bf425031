#include "package/archive_reader.hpp"

namespace orch::package {

namespace {

std::string bytes_of(const char* raw, const char* utf8) {
  return raw != nullptr ? raw : (utf8 != nullptr ? utf8 : "");
}

}  // namespace

ArchiveEntry to_entry(const image::Libarchive& api, archive_entry* raw) {
  ArchiveEntry entry;
  entry.path = bytes_of(api.archive_entry_pathname(raw), api.archive_entry_pathname_utf8(raw));
  entry.mode = static_cast<std::uint32_t>(api.archive_entry_perm(raw));
  const std::uint64_t size =
      api.archive_entry_size(raw) > 0 ? static_cast<std::uint64_t>(api.archive_entry_size(raw)) : 0;
  entry.target = bytes_of(api.archive_entry_hardlink(raw), api.archive_entry_hardlink_utf8(raw));
  if (!entry.target.empty()) {
    entry.kind = EntryKind::hard_link;
    return entry;
  }
  switch (api.archive_entry_filetype(raw)) {
    case AE_IFREG:
      entry.kind = EntryKind::file;
      entry.size = size;
      break;
    case AE_IFDIR:
      entry.kind = EntryKind::directory;
      break;
    case AE_IFLNK:
      entry.kind = EntryKind::symlink;
      entry.target = bytes_of(api.archive_entry_symlink(raw), api.archive_entry_symlink_utf8(raw));
      break;
    default:
      entry.kind = EntryKind::other;
      break;
  }
  return entry;
}

std::string archive_complaint(const image::Libarchive& api, archive* handle) {
  const char* text = api.archive_error_string(handle);
  return text == nullptr ? "it cannot be read" : text;
}

}  // namespace orch::package
