// Makes .deb files for tests, hostile ones too: names go into the tar as they are given.
#pragma once

#include <archive.h>
#include <archive_entry.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace orch::test {

struct DebEntry {
  std::string path;
  char type = 'f';  // f file, d directory, l symlink, h hard link, c character device
  std::uint32_t mode = 0644;
  std::string text;  // content, or target
};

inline std::string written(archive* handle, std::vector<char>& memory, std::size_t& used) {
  archive_write_close(handle);
  std::string bytes(memory.data(), used);
  archive_write_free(handle);
  return bytes;
}

// `filter`: "", "xz", "zstd", "gzip".
inline std::string tar_bytes(const std::vector<DebEntry>& entries, const std::string& filter = "") {
  std::vector<char> memory(1U << 22U);
  std::size_t used = 0;
  archive* handle = archive_write_new();
  archive_write_set_format_gnutar(handle);
  if (!filter.empty()) archive_write_add_filter_by_name(handle, filter.c_str());
  archive_write_open_memory(handle, memory.data(), memory.size(), &used);
  for (const DebEntry& item : entries) {
    archive_entry* entry = archive_entry_new();
    archive_entry_copy_pathname(entry, item.path.c_str());
    archive_entry_set_perm(entry, item.mode);
    archive_entry_set_filetype(entry, item.type == 'd'   ? AE_IFDIR
                                      : item.type == 'l' ? AE_IFLNK
                                      : item.type == 'c' ? AE_IFCHR
                                                         : AE_IFREG);
    if (item.type == 'l') archive_entry_copy_symlink(entry, item.text.c_str());
    if (item.type == 'h') archive_entry_copy_hardlink(entry, item.text.c_str());
    archive_entry_set_size(entry, item.type == 'f' ? static_cast<la_int64_t>(item.text.size()) : 0);
    archive_write_header(handle, entry);
    if (item.type == 'f') archive_write_data(handle, item.text.data(), item.text.size());
    archive_entry_free(entry);
  }
  return written(handle, memory, used);
}

inline void ar_member(std::string& out, std::string_view name, std::string_view bytes) {
  std::string header(60, ' ');
  const auto put = [&](std::size_t at, std::string_view text) { header.replace(at, text.size(), text); };
  put(0, name);
  put(16, "0");
  put(28, "0");
  put(34, "0");
  put(40, "100644");
  put(48, std::to_string(bytes.size()));
  put(58, "`\n");
  out += header;
  out += bytes;
  if (bytes.size() % 2 == 1) out += '\n';
}

inline std::string deb_bytes(const std::vector<DebEntry>& entries, const std::string& filter = "xz",
                             const std::string& version = "2.0\n") {
  std::string out = "!<arch>\n";
  ar_member(out, "debian-binary", version);
  ar_member(out, "control.tar", tar_bytes({}));
  ar_member(out,
            filter.empty()     ? "data.tar"
            : filter == "gzip" ? "data.tar.gz"
            : filter == "zstd" ? "data.tar.zst"
                               : "data.tar.xz",
            tar_bytes(entries, filter));
  return out;
}

}  // namespace orch::test
