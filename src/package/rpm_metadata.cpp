#include "package/rpm_metadata.hpp"

#include "base/text.hpp"
#include "package/archive_reader.hpp"

#include <charconv>
#include <utility>

namespace orch::package {

using base::ErrorKind;
using image::Libarchive;

namespace {

// No text or tag of a sound file is longer; a damaged one must not fill the memory.
constexpr std::size_t k_longest = 1U << 20U;

tl::unexpected<base::Error> corrupt_list(const std::string& name, std::string_view what) {
  return base::fail(ErrorKind::corrupt,
                    "'" + base::printable(name) + "' is no sound package list: " + base::printable(what),
                    "remove the cache's folder 'dnf' and try again");
}

void append_code_point(std::string& out, std::uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xc0U | (code >> 6U));
    out += static_cast<char>(0x80U | (code & 63U));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xe0U | (code >> 12U));
    out += static_cast<char>(0x80U | ((code >> 6U) & 63U));
    out += static_cast<char>(0x80U | (code & 63U));
  } else if (code < 0x110000) {
    out += static_cast<char>(0xf0U | (code >> 18U));
    out += static_cast<char>(0x80U | ((code >> 12U) & 63U));
    out += static_cast<char>(0x80U | ((code >> 6U) & 63U));
    out += static_cast<char>(0x80U | (code & 63U));
  }
}

void append_entity(std::string& out, std::string_view name) {
  if (name == "lt") out += '<';
  if (name == "gt") out += '>';
  if (name == "amp") out += '&';
  if (name == "quot") out += '"';
  if (name == "apos") out += '\'';
  if (!name.starts_with('#')) return;
  name.remove_prefix(1);
  const bool hexadecimal = name.starts_with('x');
  if (hexadecimal) name.remove_prefix(1);
  std::uint32_t code = 0;
  std::from_chars(name.data(), name.data() + name.size(), code, hexadecimal ? 16 : 10);
  append_code_point(out, code);
}

std::string unescaped(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t start = std::min(text.find('&'), text.size());
    out.append(text.substr(0, start));
    text.remove_prefix(start);
    const std::size_t end = text.find(';');
    if (text.empty() || end == std::string_view::npos) break;
    append_entity(out, text.substr(1, end - 1));
    text.remove_prefix(end + 1);
  }
  return out + std::string(text);
}

}  // namespace

// What stands between '<' and '>'.
struct PrimaryReader::Tag {
  std::string_view name;
  std::string_view attributes;
  bool empty = false;  // "<x/>"

  explicit Tag(std::string_view inside) {
    empty = inside.ends_with('/');
    if (empty) inside.remove_suffix(1);
    const std::size_t end = std::min(inside.find_first_of(" \t\r\n"), inside.size());
    name = inside.substr(0, end);
    attributes = inside.substr(end);
  }

  std::string attribute(std::string_view wanted) const {
    std::string_view rest = attributes;
    while (!rest.empty()) {
      const std::size_t equals = rest.find('=');
      if (equals == std::string_view::npos || equals + 1 >= rest.size()) return {};
      const std::string_view key = base::trim(rest.substr(0, equals));
      const char quote = rest[equals + 1];
      if (quote != '"' && quote != '\'') return {};
      const std::size_t end = rest.find(quote, equals + 2);
      if (end == std::string_view::npos) return {};
      if (key == wanted) return unescaped(rest.substr(equals + 2, end - equals - 2));
      rest.remove_prefix(end + 1);
    }
    return {};
  }
};

Result<> PrimaryReader::feed(std::string_view piece) {
  rest_.append(piece);
  std::size_t at = 0;
  for (;;) {
    const std::size_t open = rest_.find('<', at);
    if (open == std::string::npos) break;
    const std::size_t close = rest_.find('>', open);
    if (close == std::string::npos) break;
    text_ = rest_.substr(at, open - at);
    ORCH_CHECK(tag(std::string_view(rest_).substr(open + 1, close - open - 1)));
    at = close + 1;
  }
  rest_.erase(0, at);
  if (rest_.size() > k_longest) return corrupt_list(name_, "it has a text that does not end");
  return {};
}

Result<> PrimaryReader::finish() const {
  if (!began_ || !ended_ || in_package_) return corrupt_list(name_, "it ends in the middle");
  return {};
}

Result<> PrimaryReader::tag(std::string_view inside) {
  if (inside.empty() || inside[0] == '?' || inside[0] == '!') return {};
  if (inside[0] == '/') return close(inside.substr(1));
  const Tag found(inside);
  if (found.name == "metadata") began_ = true;
  if (found.name == "metadata" && found.empty) ended_ = true;
  if (!began_) return corrupt_list(name_, "it does not begin with 'metadata'");
  open(found);
  return {};
}

void PrimaryReader::open(const Tag& tag) {
  if (tag.name == "package" && tag.attribute("type") == "rpm") {
    package_ = {};
    in_package_ = true;
  } else if (tag.name == "version") {
    const std::string epoch = tag.attribute("epoch");
    package_.version = (epoch.empty() || epoch == "0" ? "" : epoch + ":") + tag.attribute("ver") + "-" +
                       tag.attribute("rel");
  } else if (tag.name == "checksum") {
    package_.checksum_type = tag.attribute("type");
  } else if (tag.name == "size") {
    const std::string size = tag.attribute("package");
    std::from_chars(size.data(), size.data() + size.size(), package_.size);
  } else if (tag.name == "location") {
    package_.location = tag.attribute("href");
  } else if (tag.name == "rpm:provides" || tag.name == "rpm:requires") {
    if (!tag.empty) list_ = tag.name;
  } else if (tag.name == "rpm:entry") {
    entry(tag);
  }
}

void PrimaryReader::entry(const Tag& tag) {
  if (list_ == "rpm:provides") package_.provides.push_back(tag.attribute("name"));
  if (list_ == "rpm:requires") package_.requirements.push_back(tag.attribute("name"));
}

Result<> PrimaryReader::close(std::string_view name) {
  if (name == "metadata") ended_ = true;
  if (name == list_) list_.clear();
  if (!in_package_) return {};
  if (name == "name") package_.name = unescaped(text_);
  if (name == "arch") package_.architecture = unescaped(text_);
  if (name == "checksum") package_.checksum = base::trim(text_);
  if (name == "file") package_.files.push_back(unescaped(text_));
  if (name != "package") return {};
  in_package_ = false;
  return visit_(package_);
}

Result<> read_primary(const std::string& path, const std::function<Result<>(const RpmMetadata&)>& visit) {
  ORCH_TRY(const Libarchive* const loaded, image::libarchive());
  const Libarchive& api = *loaded;
  const Archive handle = new_reader(api);
  api.archive_read_support_filter_gzip(handle.get());
  api.archive_read_support_filter_bzip2(handle.get());
  api.archive_read_support_filter_xz(handle.get());
  api.archive_read_support_filter_zstd(handle.get());
  api.archive_read_support_format_raw(handle.get());
  archive_entry* raw = nullptr;
  if (api.archive_read_open_filename(handle.get(), path.c_str(), k_archive_buffer) != ARCHIVE_OK ||
      api.archive_read_next_header(handle.get(), &raw) != ARCHIVE_OK)
    return corrupt_list(path, archive_complaint(api, handle.get()));
  PrimaryReader reader(path, visit);
  std::string buffer(1U << 18U, '\0');
  for (;;) {
    const la_ssize_t count = api.archive_read_data(handle.get(), buffer.data(), buffer.size());
    if (count < 0) return corrupt_list(path, archive_complaint(api, handle.get()));
    if (count == 0) return reader.finish();
    ORCH_CHECK(reader.feed(std::string_view(buffer.data(), static_cast<std::size_t>(count))));
  }
}

}  // namespace orch::package
