#include "package/deb.hpp"

#include "base/text.hpp"
#include "image/libarchive.hpp"

#include <array>
#include <memory>
#include <string_view>

namespace orch::package {

using base::ErrorKind;

namespace {

using image::Libarchive;
using Archive = std::unique_ptr<archive, decltype(&archive_read_free)>;

Archive new_reader(const Libarchive& api) {
  return {api.archive_read_new(), api.archive_read_free};
}

constexpr std::size_t k_buffer = 65536;

// Feeds the inner archive from the member that the outer one stands at.
struct Member {
  const Libarchive& api;
  archive* outer;
  std::array<char, k_buffer> buffer;
};

la_ssize_t read_member(archive* inner, void* client, const void** data) {
  auto* member = static_cast<Member*>(client);
  const Libarchive& api = member->api;
  *data = member->buffer.data();
  const la_ssize_t count = api.archive_read_data(member->outer, member->buffer.data(), member->buffer.size());
  if (count < 0)
    api.archive_set_error(inner, api.archive_errno(member->outer), "the package archive is cut short");
  return count < 0 ? ARCHIVE_FATAL : count;
}

tl::unexpected<base::Error> corrupt(const std::string& path, std::string_view what) {
  return base::fail(ErrorKind::corrupt,
                    "'" + base::printable(path) + "' is no sound Debian package: " + base::printable(what),
                    "remove it from the cache, or look for the archive's own fault");
}

tl::unexpected<base::Error> corrupt(const Libarchive& api, const std::string& path, archive* handle) {
  const char* text = api.archive_error_string(handle);
  return corrupt(path, text == nullptr ? "it cannot be read" : text);
}

// The bytes of a name. In the C locale libarchive gives raw bytes for plain tar headers, and only UTF-8 for
// pax ones.
std::string bytes_of(const char* raw, const char* utf8) {
  return raw != nullptr ? raw : (utf8 != nullptr ? utf8 : "");
}

ArchiveEntry convert(const Libarchive& api, archive_entry* raw) {
  ArchiveEntry entry;
  entry.path = bytes_of(api.archive_entry_pathname(raw), api.archive_entry_pathname_utf8(raw));
  entry.mode = static_cast<std::uint32_t>(api.archive_entry_perm(raw));
  entry.target = bytes_of(api.archive_entry_hardlink(raw), api.archive_entry_hardlink_utf8(raw));
  if (!entry.target.empty()) {
    entry.kind = EntryKind::hard_link;
    return entry;
  }
  switch (api.archive_entry_filetype(raw)) {
    case AE_IFREG:
      entry.kind = EntryKind::file;
      entry.size =
          api.archive_entry_size(raw) > 0 ? static_cast<std::uint64_t>(api.archive_entry_size(raw)) : 0;
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

Result<> read_data_archive(const Libarchive& api, const std::string& path, archive* outer,
                           const EntryVisitor& visit) {
  const Archive inner = new_reader(api);
  api.archive_read_support_filter_xz(inner.get());
  api.archive_read_support_filter_lzma(inner.get());
  api.archive_read_support_filter_zstd(inner.get());
  api.archive_read_support_filter_gzip(inner.get());
  api.archive_read_support_filter_bzip2(inner.get());
  api.archive_read_support_format_tar(inner.get());
  const auto member = std::unique_ptr<Member>(new Member{api, outer, {}});
  if (api.archive_read_open(inner.get(), member.get(), nullptr, read_member, nullptr) != ARCHIVE_OK)
    return corrupt(api, path, inner.get());
  const ContentReader content = [&](char* buffer, std::size_t size) -> Result<std::size_t> {
    const la_ssize_t count = api.archive_read_data(inner.get(), buffer, size);
    if (count < 0) return corrupt(api, path, inner.get());
    return static_cast<std::size_t>(count);
  };
  for (;;) {
    archive_entry* raw = nullptr;
    const int status = api.archive_read_next_header(inner.get(), &raw);
    if (status == ARCHIVE_EOF) return {};
    // A warning is about a name that the C locale cannot show; convert() takes its UTF-8 form.
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) return corrupt(api, path, inner.get());
    const ArchiveEntry entry = convert(api, raw);
    if (entry.path.empty()) return corrupt(path, "it has an entry without a name");
    ORCH_CHECK(visit(entry, content));
  }
}

Result<> check_format_version(const Libarchive& api, const std::string& path, archive* outer) {
  std::array<char, 16> text{};
  const la_ssize_t count = api.archive_read_data(outer, text.data(), text.size());
  if (count < 2) return corrupt(path, "its format version cannot be read");
  if (std::string_view(text.data(), 2) != "2.")
    return base::fail(
        ErrorKind::unsupported,
        "'" + base::printable(path) + "' has Debian package format " +
            base::printable(base::trim(std::string_view(text.data(), static_cast<std::size_t>(count)))) +
            ", expected 2.0");
  return {};
}

}  // namespace

Result<> read_deb(const std::string& path, const EntryVisitor& visit) {
  ORCH_TRY(const Libarchive* const loaded, image::libarchive());
  const Libarchive& api = *loaded;
  const Archive outer = new_reader(api);
  api.archive_read_support_format_ar(outer.get());
  if (api.archive_read_open_filename(outer.get(), path.c_str(), k_buffer) != ARCHIVE_OK)
    return corrupt(api, path, outer.get());
  bool versioned = false;
  for (;;) {
    archive_entry* raw = nullptr;
    const int status = api.archive_read_next_header(outer.get(), &raw);
    if (status == ARCHIVE_EOF) return corrupt(path, "it has no data.tar");
    if (status != ARCHIVE_OK) return corrupt(api, path, outer.get());
    const char* pathname = api.archive_entry_pathname(raw);
    const std::string_view name = pathname == nullptr ? "" : pathname;
    if (!versioned) {
      if (name != "debian-binary") return corrupt(path, "it does not begin with debian-binary");
      ORCH_CHECK(check_format_version(api, path, outer.get()));
      versioned = true;
    } else if (name == "data.tar" || name.starts_with("data.tar.")) {
      return read_data_archive(api, path, outer.get(), visit);
    }
  }
}

}  // namespace orch::package
