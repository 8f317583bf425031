#include "package/rpm.hpp"

#include "base/text.hpp"
#include "package/archive_reader.hpp"
#include "package/cpio.hpp"
#include "package/deb.hpp"
#include "package/entry_bound.hpp"
#include "sys/file.hpp"

#include <fcntl.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>

namespace orch::package {

using base::ErrorKind;
using image::Libarchive;

namespace {

constexpr std::string_view k_lead_magic = "\xed\xab\xee\xdb";
constexpr std::string_view k_header_magic = "\x8e\xad\xe8\x01";
constexpr std::size_t k_lead = 96;
// Larger than any header that a distribution has (the kernel's are the largest, some MiB).
constexpr std::uint32_t k_most_tags = 65536;
constexpr std::uint32_t k_most_data = 64U << 20U;

tl::unexpected<base::Error> corrupt_rpm(const std::string& path, std::string_view what) {
  return base::fail(ErrorKind::corrupt,
                    "'" + base::printable(path) + "' is no sound RPM package: " + base::printable(what),
                    "remove it from the cache, or look for the archive's own fault");
}

std::uint32_t big_endian(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = (value << 8U) | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

// A tag's place in a header that was read whole; every access is checked against the data's length.
class Header {
 public:
  static constexpr std::uint32_t k_int32 = 4;
  static constexpr std::uint32_t k_string = 6;
  static constexpr std::uint32_t k_string_array = 8;
  static constexpr std::uint32_t k_i18n_string = 9;

  Header(std::string index, std::string data) : data_(std::move(data)) {
    for (std::size_t at = 0; at + 16 <= index.size(); at += 16)
      entries_.emplace(big_endian(index, at), Entry{big_endian(index, at + 4), big_endian(index, at + 8),
                                                    big_endian(index, at + 12)});
  }

  bool has(std::uint32_t tag) const { return entries_.count(tag) != 0; }

  // nullopt: the tag's strings do not lie in the data. An absent tag has none.
  std::optional<std::vector<std::string>> strings(std::uint32_t tag) const {
    std::vector<std::string> found;
    const auto entry = entries_.find(tag);
    if (entry == entries_.end()) return found;
    const auto& [type, offset, count] = entry->second;
    if (type != k_string && type != k_string_array && type != k_i18n_string) return std::nullopt;
    if (count > k_most_entries) return std::nullopt;
    std::size_t at = offset;
    for (std::uint32_t i = 0; i < (type == k_string ? 1 : count); ++i) {
      const std::size_t end = at < data_.size() ? data_.find('\0', at) : std::string::npos;
      if (end == std::string::npos) return std::nullopt;
      found.push_back(data_.substr(at, end - at));
      at = end + 1;
    }
    return found;
  }

  std::optional<std::vector<std::uint32_t>> numbers(std::uint32_t tag) const {
    std::vector<std::uint32_t> found;
    const auto entry = entries_.find(tag);
    if (entry == entries_.end()) return found;
    const auto& [type, offset, count] = entry->second;
    if (type != k_int32 || offset > data_.size() || count > (data_.size() - offset) / 4) return std::nullopt;
    for (std::uint32_t i = 0; i < count; ++i) found.push_back(big_endian(data_, offset + i * std::size_t{4}));
    return found;
  }

 private:
  struct Entry {
    std::uint32_t type;
    std::uint32_t offset;
    std::uint32_t count;
  };
  std::map<std::uint32_t, Entry> entries_;  // the first of a tag, should one stand twice
  std::string data_;
};

// The header at `at`, which is moved behind it.
Result<Header> read_header(int fd, const std::string& path, std::uint64_t& at) {
  ORCH_TRY(const std::string intro, sys::read_at(fd, at, 16, path));
  if (intro.size() < 16 || !intro.starts_with(k_header_magic))
    return corrupt_rpm(path, "it has no header where one must be");
  const std::uint32_t entries = big_endian(intro, 8);
  const std::uint32_t bytes = big_endian(intro, 12);
  if (entries > k_most_tags || bytes > k_most_data)
    return corrupt_rpm(path, "its header is larger than any can be");
  ORCH_TRY(std::string index, sys::read_at(fd, at + 16, entries * std::size_t{16}, path));
  ORCH_TRY(std::string data, sys::read_at(fd, at + 16 + index.size(), bytes, path));
  if (index.size() != entries * std::size_t{16} || data.size() != bytes)
    return corrupt_rpm(path, "it is cut short");
  at += 16 + index.size() + data.size();
  return Header(std::move(index), std::move(data));
}

Result<std::string> one_text(const Header& header, std::uint32_t tag, const std::string& path) {
  const auto texts = header.strings(tag);
  if (!texts) return corrupt_rpm(path, "tag " + std::to_string(tag) + " of its header is damaged");
  return texts->empty() ? std::string() : texts->front();
}

Result<std::vector<RpmRelation>> relations(const Header& header, std::uint32_t names, std::uint32_t flags,
                                           std::uint32_t versions, const std::string& path) {
  const auto name_list = header.strings(names);
  const auto flag_list = header.numbers(flags);
  const auto version_list = header.strings(versions);
  if (!name_list || !flag_list || !version_list) return corrupt_rpm(path, "its dependencies are damaged");
  std::vector<RpmRelation> found;
  for (std::size_t i = 0; i < name_list->size(); ++i)
    found.push_back({(*name_list)[i], i < flag_list->size() ? (*flag_list)[i] : 0,
                     i < version_list->size() ? (*version_list)[i] : std::string()});
  return found;
}

// The paths of a package's files: names, and for each which of the directories it is in.
Result<std::vector<std::string>> file_list(const Header& header, const std::string& path) {
  constexpr std::uint32_t k_ghost = 1U << 6U;
  const auto names = header.strings(1117);
  const auto folders = header.strings(1118);
  const auto places = header.numbers(1116);
  const auto flags = header.numbers(1037);
  if (!names || !folders || !places || !flags || names->size() != places->size())
    return corrupt_rpm(path, "its list of files is damaged");
  std::vector<std::string> found;
  std::uint64_t bytes = 0;  // one long directory may stand for many names
  for (std::size_t i = 0; i < names->size(); ++i) {
    if ((*places)[i] >= folders->size()) return corrupt_rpm(path, "its list of files is damaged");
    if (i < flags->size() && ((*flags)[i] & k_ghost) != 0) continue;
    found.push_back((*folders)[(*places)[i]] + (*names)[i]);
    bytes += found.back().size();
    if (bytes > k_most_name_bytes) return corrupt_rpm(path, "its list of files is larger than any can be");
  }
  return found;
}

// "[EPOCH:]VERSION-RELEASE"
Result<std::string> full_version(const Header& header, const std::string& path) {
  ORCH_TRY(const std::string version, one_text(header, 1001, path));
  ORCH_TRY(const std::string release, one_text(header, 1002, path));
  const auto epoch = header.numbers(1003);
  if (!epoch || version.empty() || release.empty()) return corrupt_rpm(path, "its version is damaged");
  const bool counted = !epoch->empty() && epoch->front() != 0;
  return (counted ? std::to_string(epoch->front()) + ":" : std::string()) + version + "-" + release;
}

// Visits the payload's entries; keeps back the names of a file whose content is still to come.
class Payload {
 public:
  Payload(const std::string& path, CpioReader reader, const EntryVisitor& visit)
      : path_(path), reader_(std::move(reader)), visit_(visit) {}

  Result<> read() {
    for (;;) {
      auto next = reader_.next();
      if (!next) return named(std::move(next).error());
      if (!*next) return finish();
      if (const std::string_view wrong = bound_.add((*next)->entry); !wrong.empty())
        return corrupt_rpm(path_, wrong);
      ORCH_CHECK(add(**std::move(next)));
    }
  }

 private:
  struct Links {
    std::vector<ArchiveEntry> waiting;
    std::string placed;  // the name that has the content
    std::uint32_t seen = 0;
  };

  Result<> add(CpioEntry item) {
    ArchiveEntry& entry = item.entry;
    if (entry.kind != EntryKind::file || item.links < 2) return visit_(entry, content());
    Links& links = links_[item.inode];
    const bool last = ++links.seen >= item.links;
    if (!links.placed.empty()) {
      ORCH_CHECK(link(std::move(entry), links.placed));
    } else if (entry.size == 0) {
      links.waiting.push_back(std::move(entry));
      if (last) ORCH_CHECK(place_empty(links));
    } else {
      links.placed = entry.path;
      ORCH_CHECK(visit_(entry, content()));
      ORCH_CHECK(release(links));
    }
    if (last) links_.erase(item.inode);
    return {};
  }

  Result<> finish() {
    for (auto& [inode, links] : links_) ORCH_CHECK(place_empty(links));
    return {};
  }

  // A file with several names that is empty: no content came for it.
  Result<> place_empty(Links& links) {
    if (links.waiting.empty()) return {};
    const ArchiveEntry first = std::move(links.waiting.front());
    links.waiting.erase(links.waiting.begin());
    links.placed = first.path;
    ORCH_CHECK(visit_(first, [](char*, std::size_t) -> Result<std::size_t> { return 0; }));
    return release(links);
  }

  ContentReader content() {
    return [this](char* buffer, std::size_t size) -> Result<std::size_t> {
      auto count = reader_.read(buffer, size);
      if (!count) return named(std::move(count).error());
      return count;
    };
  }

  // What the reader of the payload says, which does not know whose it is.
  tl::unexpected<base::Error> named(base::Error error) const {
    if (error.kind == ErrorKind::unsupported)
      return base::fail(ErrorKind::unsupported,
                        "the RPM package '" + base::printable(path_) + "' cannot be used: " + error.what,
                        "leave the package out, and name an image or a folder with its files as a layer");
    return error.kind == ErrorKind::corrupt ? corrupt_rpm(path_, error.what) : base::fail(std::move(error));
  }

  Result<> link(ArchiveEntry entry, const std::string& target) {
    entry.kind = EntryKind::hard_link;
    entry.size = 0;
    entry.target = target;
    return visit_(entry, content());
  }

  Result<> release(Links& links) {
    for (ArchiveEntry& entry : links.waiting) ORCH_CHECK(link(std::move(entry), links.placed));
    links.waiting.clear();
    return {};
  }

  const std::string& path_;
  CpioReader reader_;
  const EntryVisitor& visit_;
  EntryBound bound_;
  std::map<decltype(CpioEntry::inode), Links> links_;
};

}  // namespace

Result<RpmHeader> read_rpm_header(const std::string& path) {
  ORCH_TRY(const sys::Fd fd, sys::open_file(path, O_RDONLY));
  ORCH_TRY(const std::string lead, sys::read_at(fd.get(), 0, k_lead, path));
  if (lead.size() < k_lead || !lead.starts_with(k_lead_magic))
    return corrupt_rpm(path, "it does not begin as one");
  std::uint64_t at = k_lead;
  ORCH_TRY(const Header signature, read_header(fd.get(), path, at));
  at = (at + 7) / 8 * 8;
  ORCH_TRY(const Header header, read_header(fd.get(), path, at));
  if (lead[7] == 1)
    return base::fail(ErrorKind::unsupported, "'" + base::printable(path) + "' is a source package",
                      "name the package that is built from it");
  RpmHeader out;
  ORCH_TRY(out.name, one_text(header, 1000, path));
  ORCH_TRY(out.version, full_version(header, path));
  ORCH_TRY(out.architecture, one_text(header, 1022, path));
  ORCH_TRY(out.license, one_text(header, 1014, path));
  ORCH_TRY(out.compressor, one_text(header, 1125, path));
  ORCH_TRY(out.requires_list, relations(header, 1049, 1048, 1050, path));
  ORCH_TRY(out.provides, relations(header, 1047, 1112, 1113, path));
  ORCH_TRY(out.files, file_list(header, path));
  // DSA and RSA over the header, PGP and GPG over header and payload, OpenPGP of RPM 6.
  for (const std::uint32_t tag : {267U, 268U, 278U, 1002U, 1005U})
    if (signature.has(tag)) out.has_signature = true;
  if (out.name.empty()) return corrupt_rpm(path, "its header has no name");
  return out;
}

Result<> read_rpm(const std::string& path, const EntryVisitor& visit) {
  ORCH_TRY(const Libarchive* const loaded, image::libarchive());
  const Libarchive& api = *loaded;
  const Archive handle = new_reader(api);
  api.archive_read_support_filter_rpm(handle.get());
  api.archive_read_support_filter_xz(handle.get());
  api.archive_read_support_filter_lzma(handle.get());
  api.archive_read_support_filter_zstd(handle.get());
  api.archive_read_support_filter_gzip(handle.get());
  api.archive_read_support_filter_bzip2(handle.get());
  api.archive_read_support_format_raw(handle.get());
  archive_entry* raw = nullptr;
  if (api.archive_read_open_filename(handle.get(), path.c_str(), k_archive_buffer) != ARCHIVE_OK ||
      api.archive_read_next_header(handle.get(), &raw) != ARCHIVE_OK)
    return corrupt_rpm(path, archive_complaint(api, handle.get()));
  CpioReader reader([&](char* buffer, std::size_t size) -> Result<std::size_t> {
    const la_ssize_t count = api.archive_read_data(handle.get(), buffer, size);
    if (count < 0) return base::fail(ErrorKind::corrupt, archive_complaint(api, handle.get()));
    return static_cast<std::size_t>(count);
  });
  return Payload(path, std::move(reader), visit).read();
}

Result<ArchiveFormat> package_format(const std::string& path) {
  ORCH_TRY(const sys::Fd fd, sys::open_file(path, O_RDONLY));
  ORCH_TRY(const std::string start, sys::read_at(fd.get(), 0, 8, path));
  if (start == "!<arch>\n") return ArchiveFormat::deb;
  if (start.starts_with(k_lead_magic)) return ArchiveFormat::rpm;
  return base::fail(ErrorKind::corrupt,
                    "'" + base::printable(path) + "' is neither a Debian nor an RPM package",
                    "remove it from the cache, or correct the address that it came from");
}

Result<> read_package(const std::string& path, const EntryVisitor& visit) {
  ORCH_TRY(const ArchiveFormat format, package_format(path));
  return format == ArchiveFormat::deb ? read_deb(path, visit) : read_rpm(path, visit);
}

}  // namespace orch::package
