#include "hash/stat_cache.hpp"

#include "hash/tree.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

namespace orch::hash {

namespace {

constexpr std::string_view k_header = "appimage-orch stat cache 2\n";
// A file is trusted once this much time lies between its last change and the moment it was read: two ticks of
// a 100 Hz kernel, the coarsest clock that Linux stamps files with.
constexpr std::int64_t k_distrust_ns = 20'000'000;
// File systems without sub-second stamps (seen as a zero remainder) need more.
constexpr std::int64_t k_distrust_whole_seconds_ns = 2'000'000'000;

enum class Kind : std::uint8_t { xxh3 = 1, sha256 = 2, text = 3 };

struct Identity {
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t mtime = 0;
  std::int64_t ctime = 0;
  friend bool operator==(const Identity&, const Identity&) = default;
};

std::int64_t in_ns(const timespec& t) {
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

Identity identity_of(const struct stat& info) {
  return {info.st_ino, static_cast<std::uint64_t>(info.st_size), in_ns(info.st_mtim), in_ns(info.st_ctim)};
}

struct Entry {
  Identity identity;
  std::string value;
};

template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <class T>
T take(std::string_view& in) {
  T value;
  std::memcpy(&value, in.data(), sizeof value);
  in.remove_prefix(sizeof value);
  return value;
}

// kind, then path (and topic, for texts, after a NUL).
using Name = std::string;

Name name_of(Kind kind, const std::string& path, const std::string& topic = {}) {
  Name name(1, static_cast<char>(kind));
  name += path;
  if (kind == Kind::text) {
    name += '\0';
    name += topic;
  }
  return name;
}

constexpr std::size_t k_fixed = 1 + 4 * 8 + 2;
constexpr std::size_t k_checksum = 8;

// The first half of the body's XXH3-128.
std::string checksum(std::string_view body) {
  const Digest digest = digest_of(body);
  return std::string(reinterpret_cast<const char*>(digest.bytes.data()), k_checksum);
}

std::string record(const Name& name, const Entry& entry) {
  const std::string_view path = std::string_view(name).substr(1);
  std::string out;
  out += name[0];
  put(out, entry.identity.inode);
  put(out, entry.identity.size);
  put(out, entry.identity.mtime);
  put(out, entry.identity.ctime);
  put(out, static_cast<std::uint16_t>(path.size()));
  out += path;
  out += entry.value;
  std::string framed;
  put(framed, static_cast<std::uint32_t>(k_checksum + out.size()));
  return framed + checksum(out) + out;
}

}  // namespace

struct StatCache::Impl {
  std::string path;
  std::function<std::int64_t()> now_ns;
  std::unordered_map<Name, Entry> entries;
  std::string fresh;        // records to append
  std::size_t on_disk = 0;  // records in the file
  bool restart = false;     // the file is unusable: write it anew
  std::size_t hashed = 0;

  void load();
  bool take_record(std::string_view& rest);
  std::int64_t now() const;
  bool trusted(const Identity& identity) const;
  const std::string* known(const Name& name, const Identity& identity) const;
  void remember(const Name& name, const Identity& identity, std::string value);
  template <class T, class Read>
  Result<T> lookup(Kind kind, const std::string& file, Read read);
};

std::int64_t StatCache::Impl::now() const {
  if (now_ns) return now_ns();
  timespec t{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &t);
  return in_ns(t);
}

bool StatCache::Impl::trusted(const Identity& identity) const {
  const std::int64_t latest = std::max(identity.mtime, identity.ctime);
  const std::int64_t margin = latest % 1'000'000'000 == 0 ? k_distrust_whole_seconds_ns : k_distrust_ns;
  return identity.ctime + margin < now();
}

const std::string* StatCache::Impl::known(const Name& name, const Identity& identity) const {
  const auto found = entries.find(name);
  return found != entries.end() && found->second.identity == identity ? &found->second.value : nullptr;
}

void StatCache::Impl::remember(const Name& name, const Identity& identity, std::string value) {
  if (name.size() > 65000) return;
  Entry entry{identity, std::move(value)};
  fresh += record(name, entry);
  entries.insert_or_assign(name, std::move(entry));
}

void StatCache::Impl::load() {
  if (path.empty()) return;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  struct stat info {};
  std::string text;
  if (::fstat(fd, &info) == 0) text.resize(static_cast<std::size_t>(info.st_size));
  std::size_t used = 0;
  while (used < text.size()) {
    const ssize_t got = ::read(fd, text.data() + used, text.size() - used);
    if (got <= 0) break;
    used += static_cast<std::size_t>(got);
  }
  ::close(fd);
  std::string_view rest = std::string_view(text).substr(0, used);
  if (rest.substr(0, k_header.size()) != k_header) {
    restart = true;
    return;
  }
  rest.remove_prefix(k_header.size());
  while (!rest.empty() && take_record(rest)) {
  }
  restart = !rest.empty();
}

// False leaves `rest` where the damage begins.
bool StatCache::Impl::take_record(std::string_view& rest) {
  std::string_view tail = rest;
  if (tail.size() < sizeof(std::uint32_t)) return false;
  const auto length = take<std::uint32_t>(tail);
  if (length < k_checksum + k_fixed || length > tail.size()) return false;
  std::string_view body = tail.substr(k_checksum, length - k_checksum);
  if (checksum(body) != tail.substr(0, k_checksum)) return false;
  Name name(1, body[0]);
  body.remove_prefix(1);
  Entry entry;
  entry.identity.inode = take<std::uint64_t>(body);
  entry.identity.size = take<std::uint64_t>(body);
  entry.identity.mtime = take<std::int64_t>(body);
  entry.identity.ctime = take<std::int64_t>(body);
  const auto path_size = take<std::uint16_t>(body);
  if (path_size > body.size()) return false;
  name += body.substr(0, path_size);
  entry.value = body.substr(path_size);
  entries.insert_or_assign(std::move(name), std::move(entry));
  ++on_disk;
  rest = tail.substr(length);
  return true;
}

StatCache::StatCache(std::string path, std::function<std::int64_t()> now_ns)
    : impl_(std::make_unique<Impl>()) {
  impl_->path = std::move(path);
  impl_->now_ns = std::move(now_ns);
  impl_->load();
}

StatCache::~StatCache() {
  save();
}

std::size_t StatCache::files_hashed() const {
  return impl_->hashed;
}

template <class T, class Read>
Result<T> StatCache::Impl::lookup(Kind kind, const std::string& file, Read read) {
  const Name name = name_of(kind, file);
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) return base::fail(base::errno_error(errno, "read", file));
  if (const std::string* value = known(name, identity_of(info))) {
    T out;
    if (value->size() == out.bytes.size()) {
      std::memcpy(out.bytes.data(), value->data(), out.bytes.size());
      return out;
    }
  }
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return base::fail(base::errno_error(errno, "read", file));
  struct stat before {};
  ::fstat(fd, &before);
  if (!S_ISREG(before.st_mode)) {
    ::close(fd);
    return base::fail(base::ErrorKind::io, "'" + file + "' is not a regular file");
  }
  const bool trust = trusted(identity_of(before));
  Result<T> out = read(fd, file);
  struct stat after {};
  const bool same = ::fstat(fd, &after) == 0 && identity_of(before) == identity_of(after);
  ::close(fd);
  ++hashed;
  if (out && trust && same)
    remember(name, identity_of(after),
             std::string(reinterpret_cast<const char*>(out->bytes.data()), out->bytes.size()));
  return out;
}

Result<Digest> StatCache::digest(const std::string& path) {
  return impl_->lookup<Digest>(Kind::xxh3, path,
                               [](int fd, const std::string& name) { return digest_fd(fd, name); });
}

Result<Sha256> StatCache::sha256(const std::string& path) {
  return impl_->lookup<Sha256>(Kind::sha256, path,
                               [](int fd, const std::string& name) { return sha256_fd(fd, name); });
}

Result<Digest> StatCache::tree_digest(const std::string& path) {
  const TreeHash hash_file = [this](const std::string& file) { return digest(file); };
  ORCH_TRY(TreeListing listing, list_tree(path, hash_file));
  // As git sees it: a checkout is the same under every umask.
  for (TreeEntry& entry : listing.entries)
    if (entry.type != EntryType::symlink)
      entry.mode = entry.type == EntryType::directory || (entry.mode & 0100) != 0 ? 0755 : 0644;
  return listing.digest();
}

Result<std::string> StatCache::text_of(const std::string& path, const std::string& topic,
                                       const std::function<Result<std::string>()>& ask) {
  struct stat before {};
  if (::stat(path.c_str(), &before) != 0) return base::fail(base::errno_error(errno, "read", path));
  const Name name = name_of(Kind::text, path, topic);
  if (const std::string* value = impl_->known(name, identity_of(before))) return *value;
  const bool trust = impl_->trusted(identity_of(before));
  ORCH_TRY(std::string text, ask());
  struct stat after {};
  if (trust && ::stat(path.c_str(), &after) == 0 && identity_of(before) == identity_of(after))
    impl_->remember(name, identity_of(after), text);
  return text;
}

void StatCache::save() {
  if (impl_->path.empty() || impl_->fresh.empty()) return;
  std::string bytes;
  const bool compact =
      impl_->restart || (impl_->on_disk > 2 * impl_->entries.size() && impl_->on_disk > 1000);
  if (compact) {
    bytes = k_header;
    for (const auto& [name, entry] : impl_->entries) bytes += record(name, entry);
  } else {
    bytes = std::move(impl_->fresh);
  }
  impl_->fresh.clear();
  // A name of this process's own, so that two that compact at once do not write into each other's file.
  const std::string target = compact ? impl_->path + "." + std::to_string(::getpid()) : impl_->path;
  const int fd =
      ::open(target.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | (compact ? O_TRUNC : O_APPEND), 0644);
  if (fd < 0) return;
  // The first writer of a new file adds the header; the lock keeps two first writers apart.
  ::flock(fd, LOCK_EX);
  struct stat info {};
  ::fstat(fd, &info);
  if (!compact && info.st_size == 0) bytes.insert(0, k_header);
  const bool whole = ::write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
  if (!whole && !compact) (void)!::ftruncate(fd, info.st_size);
  ::close(fd);
  if (!compact) return;
  if (whole && ::rename(target.c_str(), impl_->path.c_str()) == 0)
    impl_->restart = false;
  else
    ::unlink(target.c_str());
}

}  // namespace orch::hash
