#include "package/archive_reader.hpp"

namespace orch::package {

namespace {

std::string bytes_of(const char* raw, const char* utf8) {
  return raw != nullptr ? raw : (utf8 != nullptr ? utf8 : "");
}

EntryMarks marks_of(const image::Libarchive& api, archive_entry* raw) {
  EntryMarks marks;
  api.archive_entry_xattr_reset(raw);
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  while (api.archive_entry_xattr_next(raw, &name, &value, &size) == ARCHIVE_OK)
    if (name != nullptr)
      add_mark(marks, name, value == nullptr ? "" : std::string_view(static_cast<const char*>(value), size));
  return marks;
}

// A device, FIFO or socket.
void set_special(const image::Libarchive& api, archive_entry* raw, ArchiveEntry& entry) {
  entry.kind = EntryKind::other;
  entry.special = image::type_of_mode(api.archive_entry_filetype(raw)).value_or(image::NodeType::fifo);
  entry.device_major = static_cast<std::uint32_t>(api.archive_entry_rdevmajor(raw));
  entry.device_minor = static_cast<std::uint32_t>(api.archive_entry_rdevminor(raw));
}

}  // namespace

void add_mark(EntryMarks& marks, std::string_view name, std::string_view value) {
  for (const std::string_view prefix : {"trusted.overlay.", "user.overlay."}) {
    if (!name.starts_with(prefix)) continue;
    name.remove_prefix(prefix.size());
    if (name == "opaque" && value == "y") marks.opaque = true;
    if (name == "whiteout") marks.whiteout = true;
    if (name == "redirect" || name == "metacopy") marks.redirected = true;
  }
}

ArchiveEntry to_entry(const image::Libarchive& api, archive_entry* raw) {
  ArchiveEntry entry;
  entry.marks = marks_of(api, raw);
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
      set_special(api, raw, entry);
      break;
  }
  return entry;
}

std::string archive_complaint(const image::Libarchive& api, archive* handle) {
  const char* text = api.archive_error_string(handle);
  return text == nullptr ? "it cannot be read" : text;
}

}  // namespace orch::package
