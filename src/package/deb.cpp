#include "package/deb.hpp"

#include "base/text.hpp"
#include "package/archive_reader.hpp"
#include "package/entry_bound.hpp"

#include <array>
#include <memory>
#include <string_view>

namespace orch::package {

using base::ErrorKind;

namespace {

using image::Libarchive;

// Feeds the inner archive from the member that the outer one stands at.
struct Member {
  const Libarchive& api;
  archive* outer;
  std::array<char, k_archive_buffer> buffer;
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

tl::unexpected<base::Error> corrupt_deb(const std::string& path, std::string_view what) {
  return base::fail(ErrorKind::corrupt,
                    "'" + base::printable(path) + "' is no sound Debian package: " + base::printable(what),
                    "remove it from the cache, or look for the archive's own fault");
}

tl::unexpected<base::Error> corrupt_deb(const Libarchive& api, const std::string& path, archive* handle) {
  return corrupt_deb(path, archive_complaint(api, handle));
}

Result<> read_inner_archive(const Libarchive& api, const std::string& path, archive* outer,
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
    return corrupt_deb(api, path, inner.get());
  const ContentReader content = [&](char* buffer, std::size_t size) -> Result<std::size_t> {
    const la_ssize_t count = api.archive_read_data(inner.get(), buffer, size);
    if (count < 0) return corrupt_deb(api, path, inner.get());
    return static_cast<std::size_t>(count);
  };
  EntryBound bound;
  for (;;) {
    archive_entry* raw = nullptr;
    const int status = api.archive_read_next_header(inner.get(), &raw);
    if (status == ARCHIVE_EOF) return {};
    // A warning is about a name that the C locale cannot show; to_entry() takes its UTF-8 form.
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) return corrupt_deb(api, path, inner.get());
    const ArchiveEntry entry = to_entry(api, raw);
    if (entry.path.empty()) return corrupt_deb(path, "it has an entry without a name");
    if (const std::string_view wrong = bound.add(entry); !wrong.empty()) return corrupt_deb(path, wrong);
    ORCH_CHECK(visit(entry, content));
  }
}

Result<> check_format_version(const Libarchive& api, const std::string& path, archive* outer) {
  std::array<char, 16> text{};
  const la_ssize_t count = api.archive_read_data(outer, text.data(), text.size());
  if (count < 2) return corrupt_deb(path, "its format version cannot be read");
  if (std::string_view(text.data(), 2) != "2.")
    return base::fail(
        ErrorKind::unsupported,
        "'" + base::printable(path) + "' has Debian package format " +
            base::printable(base::trim(std::string_view(text.data(), static_cast<std::size_t>(count)))) +
            ", expected 2.0");
  return {};
}

// Visits the inner archive with that name, or that name and a compressor's ending.
Result<> read_member_archive(const std::string& path, std::string_view wanted, const EntryVisitor& visit) {
  ORCH_TRY(const Libarchive* const loaded, image::libarchive());
  const Libarchive& api = *loaded;
  const Archive outer = new_reader(api);
  api.archive_read_support_format_ar(outer.get());
  if (api.archive_read_open_filename(outer.get(), path.c_str(), k_archive_buffer) != ARCHIVE_OK)
    return corrupt_deb(api, path, outer.get());
  bool versioned = false;
  for (;;) {
    archive_entry* raw = nullptr;
    const int status = api.archive_read_next_header(outer.get(), &raw);
    if (status == ARCHIVE_EOF) return corrupt_deb(path, "it has no " + std::string(wanted));
    if (status != ARCHIVE_OK) return corrupt_deb(api, path, outer.get());
    const char* pathname = api.archive_entry_pathname(raw);
    const std::string_view name = pathname == nullptr ? "" : pathname;
    if (!versioned) {
      if (name != "debian-binary") return corrupt_deb(path, "it does not begin with debian-binary");
      ORCH_CHECK(check_format_version(api, path, outer.get()));
      versioned = true;
    } else if (name == wanted || name.starts_with(std::string(wanted) + ".")) {
      return read_inner_archive(api, path, outer.get(), visit);
    }
  }
}

}  // namespace

Result<> read_deb(const std::string& path, const EntryVisitor& visit) {
  return read_member_archive(path, "data.tar", visit);
}

Result<std::string> read_deb_control(const std::string& path) {
  constexpr std::size_t k_largest = 1U << 20U;
  std::string text;
  bool found = false;
  const auto visit = [&](const ArchiveEntry& entry, const ContentReader& content) -> Result<> {
    if (entry.kind != EntryKind::file || (entry.path != "./control" && entry.path != "control")) return {};
    found = true;
    std::array<char, 8192> buffer{};
    for (;;) {
      ORCH_TRY(const std::size_t count, content(buffer.data(), buffer.size()));
      if (count == 0) return {};
      text.append(buffer.data(), count);
      if (text.size() > k_largest) return corrupt_deb(path, "its control file is too large");
    }
  };
  ORCH_CHECK(read_member_archive(path, "control.tar", visit));
  if (!found) return corrupt_deb(path, "it has no control file");
  return text;
}

}  // namespace orch::package
