#include "image/iso_archive.hpp"

#include "base/text.hpp"
#include "image/libarchive.hpp"

#include <fmt/format.h>

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

namespace orch::image {

using base::ErrorKind;
using base::fail;

namespace {

constexpr std::string_view k_hint =
    "download or copy the file again and compare its size and checksum with the publisher's";

std::string text(const char* bytes) {
  return bytes == nullptr ? std::string() : std::string(bytes);
}

}  // namespace

struct IsoArchive::Impl {
  const Libarchive& api;
  std::shared_ptr<const RandomAccess> image;
  archive* reader = nullptr;
  std::uint64_t position = 0;
  std::uint64_t left = 0;  // bytes of the current entry that read() has not given out
  std::array<std::uint8_t, 65536> buffer{};

  explicit Impl(const Libarchive& functions) : api(functions) {}
  ~Impl() { api.archive_read_free(reader); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  base::Error error(std::string_view what) const {
    const char* reason = api.archive_error_string(reader);
    return base::Error(
        ErrorKind::corrupt,
        fmt::format("{}: {}", what, reason == nullptr ? "unknown error" : base::printable(reason)),
        std::string(k_hint));
  }
};

namespace {

// libarchive's callbacks. They see the Impl through an untyped pointer, as its interface demands.
struct Callbacks {
  template <class Impl>
  static la_ssize_t read(archive* reader, void* data, const void** out) {
    auto* impl = static_cast<Impl*>(data);
    const Result<std::size_t> got = impl->image->read_at(impl->position, impl->buffer);
    if (!got) {
      impl->api.archive_set_error(reader, EIO, "%s", got.error().what.c_str());
      return ARCHIVE_FATAL;
    }
    impl->position += *got;
    *out = impl->buffer.data();
    return static_cast<la_ssize_t>(*got);
  }
  template <class Impl>
  static la_int64_t skip(archive*, void* data, la_int64_t request) {
    auto* impl = static_cast<Impl*>(data);
    const std::uint64_t left = impl->image->size() - std::min(impl->position, impl->image->size());
    const std::uint64_t count = request < 0 ? 0 : std::min(left, static_cast<std::uint64_t>(request));
    impl->position += count;
    return static_cast<la_int64_t>(count);
  }
  template <class Impl>
  static la_int64_t seek(archive*, void* data, la_int64_t offset, int whence) {
    auto* impl = static_cast<Impl*>(data);
    const auto size = static_cast<la_int64_t>(impl->image->size());
    const la_int64_t from = whence == SEEK_SET   ? 0
                            : whence == SEEK_END ? size
                                                 : static_cast<la_int64_t>(impl->position);
    if (offset < -from || offset > size - from) return ARCHIVE_FATAL;
    impl->position = static_cast<std::uint64_t>(from + offset);
    return from + offset;
  }
};

}  // namespace

IsoArchive::IsoArchive(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
IsoArchive::~IsoArchive() = default;

Result<std::unique_ptr<IsoArchive>> IsoArchive::open(std::shared_ptr<const RandomAccess> image) {
  ORCH_TRY(const Libarchive* const loaded, libarchive());
  const Libarchive& api = *loaded;
  auto impl = std::make_unique<Impl>(api);
  impl->image = std::move(image);
  impl->reader = api.archive_read_new();
  if (impl->reader == nullptr || api.archive_read_support_format_iso9660(impl->reader) != ARCHIVE_OK)
    return fail(ErrorKind::unsupported, "libarchive was built without ISO 9660",
                "install a complete libarchive");
  api.archive_read_set_read_callback(impl->reader, Callbacks::read<Impl>);
  api.archive_read_set_skip_callback(impl->reader, Callbacks::skip<Impl>);
  api.archive_read_set_seek_callback(impl->reader, Callbacks::seek<Impl>);
  api.archive_read_set_callback_data(impl->reader, impl.get());
  if (api.archive_read_open1(impl->reader) != ARCHIVE_OK)
    return fail(impl->error("the ISO 9660 image cannot be read"));
  return std::unique_ptr<IsoArchive>(new IsoArchive(std::move(impl)));
}

Result<std::optional<IsoEntry>> IsoArchive::next() {
  const Libarchive& api = impl_->api;
  while (true) {
    archive_entry* raw = nullptr;
    const int status = api.archive_read_next_header(impl_->reader, &raw);
    if (status == ARCHIVE_EOF) return std::optional<IsoEntry>();
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN)
      return fail(impl_->error("the ISO 9660 image cannot be read"));
    IsoEntry entry;
    entry.path = text(api.archive_entry_pathname(raw));
    if (entry.path == "." || entry.path == "/") continue;
    for (const std::string_view component : base::split(entry.path, '/')) {
      if (!is_valid_name(component))
        return fail(ErrorKind::corrupt,
                    fmt::format("the image has an entry with the path '{}'", base::printable(entry.path)),
                    "this image was made to write outside of its directory; do not use it");
      entry.components.emplace_back(component);
    }
    entry.hard_link = text(api.archive_entry_hardlink(raw));
    const std::optional<NodeType> type =
        entry.hard_link.empty() ? type_of_mode(api.archive_entry_filetype(raw)) : NodeType::file;
    if (!type)
      return fail(ErrorKind::corrupt, fmt::format("'{}' has an unknown type", base::printable(entry.path)));
    entry.info.type = *type;
    entry.info.mode = api.archive_entry_perm(raw) & 07777;
    entry.info.mtime = api.archive_entry_mtime(raw);
    if (*type == NodeType::symlink) {
      entry.target = text(api.archive_entry_symlink(raw));
      entry.info.size = entry.target.size();
    }
    if (*type == NodeType::file && api.archive_entry_size(raw) > 0)
      entry.info.size = static_cast<std::uint64_t>(api.archive_entry_size(raw));
    impl_->left = entry.hard_link.empty() ? entry.info.size : 0;
    return std::optional<IsoEntry>(std::move(entry));
  }
}

Result<std::size_t> IsoArchive::read(std::span<std::uint8_t> out) {
  const la_ssize_t got = impl_->api.archive_read_data(impl_->reader, out.data(), out.size());
  if (got < 0) return fail(impl_->error("a file in the ISO 9660 image cannot be read"));
  // libarchive leaves out blocks of zeros at the end of a zisofs file. Data that is missing is an error
  // above.
  auto count = static_cast<std::size_t>(got);
  if (count == 0) {
    count = static_cast<std::size_t>(std::min<std::uint64_t>(impl_->left, out.size()));
    std::fill_n(out.begin(), count, std::uint8_t{0});
  }
  if (count > impl_->left)
    return fail(ErrorKind::corrupt, "a file in the ISO 9660 image is longer than its entry says",
                std::string(k_hint));
  impl_->left -= count;
  return count;
}

}  // namespace orch::image
