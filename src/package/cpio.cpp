#include "package/cpio.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <string_view>

namespace orch::package {

using base::ErrorKind;

namespace {

constexpr std::size_t k_head = 110;
constexpr std::size_t k_buffer = 16384;
// PATH_MAX: neither a name nor a target can be longer.
constexpr std::uint32_t k_longest_text = 4096;
// Behind the trailer there is padding at most.
constexpr std::uint64_t k_most_behind = 1U << 20U;

tl::unexpected<base::Error> damaged(std::string what) {
  return base::fail(ErrorKind::corrupt, std::move(what));
}

std::uint32_t padding_of(std::uint64_t size) {
  return static_cast<std::uint32_t>((4 - size % 4) % 4);
}

ArchiveEntry entry_of(std::uint32_t mode, std::uint32_t size) {
  ArchiveEntry entry;
  entry.mode = mode & 07777U;
  const auto type = image::type_of_mode(mode);
  if (type == image::NodeType::file) {
    entry.kind = EntryKind::file;
    entry.size = size;
  } else if (type == image::NodeType::directory) {
    entry.kind = EntryKind::directory;
  } else if (type == image::NodeType::symlink) {
    entry.kind = EntryKind::symlink;
  } else {
    entry.special = type.value_or(image::NodeType::fifo);
  }
  return entry;
}

}  // namespace

Result<> CpioReader::exactly(char* buffer, std::size_t size) {
  ORCH_TRY(const std::size_t count, stream_(buffer, size));
  if (count != size) return damaged("its payload ends in the middle");
  return {};
}

Result<> CpioReader::skip(std::uint64_t count) {
  std::array<char, k_buffer> buffer{};
  while (count > 0) {
    const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(count, buffer.size()));
    ORCH_CHECK(exactly(buffer.data(), part));
    count -= part;
  }
  return {};
}

Result<CpioReader::Head> CpioReader::head() {
  std::array<char, k_head> bytes{};
  ORCH_CHECK(exactly(bytes.data(), bytes.size()));
  const std::string_view text(bytes.data(), bytes.size());
  if (text.starts_with("07070X"))
    return base::fail(ErrorKind::unsupported, "it has files of 4 GiB and more, which are not read");
  if (!text.starts_with("070701") && !text.starts_with("070702"))
    return damaged("its payload has no entry where one must be");
  Head numbers{};
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const char* const first = bytes.data() + 6 + 8 * i;
    const auto [end, error] = std::from_chars(first, first + 8, numbers.at(i), 16);
    if (error != std::errc() || end != first + 8) return damaged("an entry of its payload is damaged");
  }
  return numbers;
}

// A text of that many bytes, without padding.
Result<std::string> CpioReader::text(std::uint32_t length) {
  if (length > k_longest_text) return damaged("its payload has a name longer than any can be");
  std::string found(length, '\0');
  ORCH_CHECK(exactly(found.data(), found.size()));
  return found;
}

Result<> CpioReader::finish() {
  std::array<char, k_buffer> buffer{};
  for (std::uint64_t behind = 0; behind <= k_most_behind;) {
    ORCH_TRY(const std::size_t count, stream_(buffer.data(), buffer.size()));
    if (count == 0) return {};
    behind += count;
  }
  return damaged("its payload goes on behind its end");
}

Result<std::optional<CpioEntry>> CpioReader::next() {
  ORCH_CHECK(skip(left_ + padding_));
  left_ = padding_ = 0;
  ORCH_TRY(const Head head, this->head());
  const auto [inode, mode, uid, gid, links, mtime, size, major, minor, of_major, of_minor, length, sum] =
      head;
  ORCH_TRY(std::string name, text(length));
  if (name.size() < 2 || name.find('\0') != name.size() - 1)
    return damaged("it has an entry without a name, or with a damaged one");
  name.pop_back();
  ORCH_CHECK(skip(padding_of(k_head + length)));
  if (name == "TRAILER!!!") {
    ORCH_CHECK(finish());
    return std::optional<CpioEntry>();
  }
  CpioEntry out{entry_of(mode, size), {major, minor, inode}, links};
  out.entry.path = std::move(name);
  out.entry.device_major = out.entry.kind == EntryKind::other ? of_major : 0;
  out.entry.device_minor = out.entry.kind == EntryKind::other ? of_minor : 0;
  left_ = size;
  padding_ = padding_of(size);
  if (out.entry.kind == EntryKind::symlink) {
    ORCH_TRY(out.entry.target, text(size));
    left_ = 0;
    if (out.entry.target.find('\0') != std::string::npos) return damaged("it has a damaged link");
  }
  return std::optional<CpioEntry>(std::move(out));
}

Result<std::size_t> CpioReader::read(char* buffer, std::size_t size) {
  const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(left_, size));
  ORCH_CHECK(exactly(buffer, part));
  left_ -= part;
  return part;
}

}  // namespace orch::package
