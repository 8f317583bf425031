#include "package/unpacked_cache.hpp"

#include "base/text.hpp"
#include "sys/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace orch::package {

using base::ErrorKind;

namespace {

constexpr std::size_t k_buffer = 1U << 18U;
constexpr std::string_view k_magic = "appimage-orch unpacked 1\n";
constexpr std::string_view k_listing = "listing";

// ---- the listing: magic, records, XXH3 of all before. Numbers are little-endian; texts have their length in
// front.

void put_number(std::string& out, std::uint64_t number, unsigned bytes) {
  for (unsigned i = 0; i < bytes; ++i) out += static_cast<char>((number >> (8 * i)) & 0xFFU);
}
void put_text(std::string& out, std::string_view text) {
  put_number(out, text.size(), 4);
  out += text;
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  bool at_end() const { return sound_ && bytes_.empty(); }
  bool sound() const { return sound_; }
  std::uint64_t number(unsigned size) {
    const std::string_view raw = take(size);
    std::uint64_t out = 0;
    for (std::size_t i = 0; i < raw.size(); ++i)
      out |= std::uint64_t{static_cast<unsigned char>(raw[i])} << (8 * i);
    return out;
  }
  std::uint32_t number32() { return static_cast<std::uint32_t>(number(4)); }
  std::string text() { return std::string(take(number(4))); }
  std::string_view take(std::uint64_t size) {
    if (size > bytes_.size()) {
      sound_ = false;
      bytes_ = {};
      return {};
    }
    const std::string_view out = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return out;
  }

 private:
  std::string_view bytes_;
  bool sound_ = true;
};

std::uint64_t mark_bits(const EntryMarks& marks) {
  return (marks.opaque ? 1U : 0U) | (marks.whiteout ? 2U : 0U) | (marks.redirected ? 4U : 0U);
}

hash::Digest digest_in(std::string_view raw) {
  hash::Digest digest;
  for (std::size_t i = 0; i < raw.size() && i < digest.bytes.size(); ++i)
    digest.bytes[i] = static_cast<std::uint8_t>(raw[i]);
  return digest;
}

std::string_view bytes_of(const hash::Digest& digest) {
  return {reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()};
}

UnpackedEntry decode_entry(Reader& reader) {
  UnpackedEntry item;
  ArchiveEntry& entry = item.entry;
  entry.kind = static_cast<EntryKind>(reader.number(1));
  entry.special = static_cast<image::NodeType>(reader.number(1));
  const std::uint64_t marks = reader.number(1);
  entry.marks = {(marks & 1U) != 0, (marks & 2U) != 0, (marks & 4U) != 0};
  entry.mode = reader.number32();
  entry.device_major = reader.number32();
  entry.device_minor = reader.number32();
  entry.size = reader.number(8);
  entry.path = reader.text();
  entry.target = reader.text();
  item.blob.number = reader.number(8);
  item.blob.size = entry.size;
  item.blob.digest = digest_in(reader.take(16));
  return item;
}

// ---- unpacking

// A package that is many times larger than its archive is an attack (a sparse file, say, costs an archive
// nothing). Real ones stay below 20 times.
constexpr std::uint64_t k_largest_growth = 200;
constexpr std::uint64_t k_always_allowed = 256U << 20U;
constexpr std::uint64_t k_entry_cost = 512;  // an entry takes room, even if it is empty

// Writes the entry's content to `file`; the size is what came, the digest is taken on the way.
Result<Blob> store_content(const std::string& file, std::uint32_t mode, const ContentReader& content,
                           std::vector<char>& buffer, std::uint64_t room) {
  ORCH_TRY(const sys::Fd fd, sys::open_file(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  hash::Hasher hasher;
  Blob blob;
  for (;;) {
    ORCH_TRY(const std::size_t count, content(buffer.data(), buffer.size()));
    if (count == 0) break;
    hasher.update(buffer.data(), count);
    blob.size += count;
    if (blob.size > room)
      return base::fail(ErrorKind::corrupt, "it would be more than " + std::to_string(k_largest_growth) +
                                                " times as large as its archive, which no package is");
    ORCH_CHECK(sys::write_all(fd.get(), std::string_view(buffer.data(), count), file));
  }
  blob.digest = hasher.finish();
  if (::fchmod(fd.get(), unpacked_mode(mode)) != 0)
    return base::fail(base::errno_error(errno, "change the mode of", file));
  return blob;
}

}  // namespace

Result<std::uint64_t> largest_unpacked(const std::string& archive) {
  ORCH_TRY(const struct stat info, sys::stat_file(archive));
  return static_cast<std::uint64_t>(info.st_size) * k_largest_growth + k_always_allowed;
}

namespace {

Result<std::vector<UnpackedEntry>> store_package(const std::string& archive, const std::string& directory,
                                                 const ReadArchive& read) {
  ORCH_CHECK(sys::make_dirs(directory, 0700));
  std::vector<UnpackedEntry> entries;
  std::vector<char> buffer(k_buffer);
  std::size_t files = 0;
  ORCH_TRY(std::uint64_t room, largest_unpacked(archive));
  ORCH_CHECK(read(archive, [&](const ArchiveEntry& entry, const ContentReader& content) -> Result<> {
    ORCH_TRY(const std::string place, entry_place(entry.path));
    UnpackedEntry item{entry, {}};
    if (entry.kind == EntryKind::file) {
      ORCH_TRY(item.blob,
               store_content(directory + "/" + std::to_string(files), entry.mode, content, buffer, room));
      room -= item.blob.size;
      if (item.blob.size != entry.size)
        return base::fail(ErrorKind::corrupt, "'" + base::printable(place) + "' has " +
                                                  std::to_string(item.blob.size) + " bytes, expected " +
                                                  std::to_string(entry.size));
      item.blob.number = files++;
    }
    if (room < k_entry_cost)
      return base::fail(ErrorKind::corrupt, "it has far more entries than an archive of its size should");
    room -= k_entry_cost;
    entries.push_back(std::move(item));
    return {};
  }));
  return entries;
}

// ---- what is kept

Result<bool> file_is_sound(int directory, const UnpackedEntry& item) {
  const std::string name = std::to_string(item.blob.number);
  const sys::Fd fd(::openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0) return false;
  if (!S_ISREG(info.st_mode) || static_cast<std::uint64_t>(info.st_size) != item.blob.size ||
      (info.st_mode & 07777U) != unpacked_mode(item.entry.mode))
    return false;
  ORCH_TRY(const hash::Digest digest, hash::digest_fd(fd.get(), name));
  return digest == item.blob.digest;
}

// What the listing says, if it is whole.
std::optional<UnpackedPackage> listed_package(const std::string& directory) {
  const auto bytes = sys::read_file(directory + "/" + std::string(k_listing));
  if (!bytes) return std::nullopt;
  auto entries = decode_listing(*bytes);
  if (!entries) return std::nullopt;
  UnpackedPackage package;
  package.directory = directory;
  package.entries = *std::move(entries);
  package.was_kept = true;
  return package;
}

Result<> check_archive(const std::string& archive, const hash::Sha256& expected) {
  ORCH_TRY(const sys::Fd fd, sys::open_file(archive, O_RDONLY));
  ORCH_TRY(const hash::Sha256 found, hash::sha256_fd(fd.get(), archive));
  if (found == expected) return {};
  return base::fail(
      ErrorKind::corrupt,
      "the archive is not what the lock file names: expected " + expected.hex() + ", found " + found.hex(),
      "'appimage-orch cache verify' finds and removes what is damaged");
}

// Moves a finished package to its place. Where that fails (another process was faster, or the cache is on
// another file system) the private one serves this build.
Result<std::string> keep(const std::string& made, const std::string& place) {
  if (::rename(made.c_str(), place.c_str()) == 0) return place;
  return made;
}

}  // namespace

bool is_sound(const UnpackedPackage& package) {
  const auto fd = sys::open_file(package.directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!fd) return false;
  return std::all_of(package.entries.begin(), package.entries.end(), [&](const UnpackedEntry& item) {
    return item.entry.kind != EntryKind::file || file_is_sound(fd->get(), item).value_or(false);
  });
}

std::string encode_listing(const std::vector<UnpackedEntry>& entries) {
  std::string out(k_magic);
  put_number(out, entries.size(), 4);
  for (const auto& [entry, blob] : entries) {
    put_number(out, static_cast<std::uint64_t>(entry.kind), 1);
    put_number(out, static_cast<std::uint64_t>(entry.special), 1);
    put_number(out, mark_bits(entry.marks), 1);
    put_number(out, entry.mode, 4);
    put_number(out, entry.device_major, 4);
    put_number(out, entry.device_minor, 4);
    put_number(out, entry.size, 8);
    put_text(out, entry.path);
    put_text(out, entry.target);
    put_number(out, blob.number, 8);
    out += bytes_of(blob.digest);
  }
  out += bytes_of(hash::digest_of(out));
  return out;
}

Result<std::vector<UnpackedEntry>> decode_listing(std::string_view bytes) {
  const auto torn = [] {
    return base::fail(ErrorKind::corrupt, "the listing of an unpacked package is torn");
  };
  if (bytes.size() < k_magic.size() + 16 || !bytes.starts_with(k_magic)) return torn();
  const std::string_view body = bytes.substr(0, bytes.size() - 16);
  if (digest_in(bytes.substr(body.size())) != hash::digest_of(body)) return torn();
  Reader reader(body.substr(k_magic.size()));
  const std::uint32_t count = reader.number32();
  std::vector<UnpackedEntry> entries;
  for (std::uint32_t i = 0; i < count && reader.sound(); ++i) {
    entries.push_back(decode_entry(reader));
    const ArchiveEntry& entry = entries.back().entry;
    if (entry.kind > EntryKind::other || entry.special > image::NodeType::socket) return torn();
  }
  if (!reader.at_end()) return torn();
  return entries;
}

Result<UnpackedPackage> unpacked_package(const hash::Sha256& digest, const std::string& archive,
                                         const UnpackPlace& place, const ReadArchive& read) {
  UnpackedPackage package;
  const std::string kept = place.cache.empty() ? std::string() : place.cache + "/" + digest.hex();
  if (!kept.empty() && sys::exists(kept)) {
    auto found = listed_package(kept);
    if (found && (place.kept == KeptPackages::trust || is_sound(*found))) {
      ::utimensat(AT_FDCWD, kept.c_str(), nullptr, 0);  // for who removes what is not used
      return *std::move(found);
    }
    package.damaged = true;
    // Out of the way first: somebody else may be making it again, too.
    ::rename(kept.c_str(), (place.scratch + "-damaged").c_str());
    ORCH_CHECK(sys::remove_tree(place.scratch + "-damaged"));
  }
  ORCH_CHECK(check_archive(archive, digest));
  ORCH_TRY(package.entries, store_package(archive, place.scratch, read));
  ORCH_CHECK(
      sys::write_atomic(place.scratch + "/" + std::string(k_listing), encode_listing(package.entries)));
  package.directory = place.scratch;
  if (kept.empty()) return package;
  ORCH_CHECK(sys::make_dirs(place.cache));
  ORCH_TRY(package.directory, keep(place.scratch, kept));
  return package;
}

}  // namespace orch::package
