#include "sys/file.hpp"

#include <climits>
#include <fmt/format.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <dirent.h>
#include <memory>

namespace orch::sys {

using base::errno_error;
using base::fail;

Result<Fd> open_file(const std::string& path, int flags, mode_t mode) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return fail(errno_error(errno, (flags & O_ACCMODE) == O_RDONLY ? "open" : "write", path));
  return Fd(fd);
}

Result<std::string> read_file(const std::string& path) {
  ORCH_TRY(const Fd fd, open_file(path, O_RDONLY));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fail(errno_error(errno, "read", path));
  std::string out;
  // One byte more than the size, so that a regular file ends with a single short read. Files of /proc say that they are
  // empty, and some of /proc/sys give nothing to a second read.
  const bool sized = S_ISREG(info.st_mode) && info.st_size > 0;
  constexpr std::size_t k_unknown = 4096;
  out.resize(sized ? static_cast<std::size_t>(info.st_size) + 1 : k_unknown);
  std::size_t used = 0;
  while (true) {
    if (used == out.size()) out.resize(out.size() * 2);
    const ssize_t got = ::read(fd.get(), out.data() + used, out.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(errno_error(errno, "read", path));
    if (got == 0) break;
    used += static_cast<std::size_t>(got);
  }
  out.resize(used);
  return out;
}

bool begins_with(const std::string& path, std::string_view bytes) {
  const Result<Fd> file = open_file(path, O_RDONLY);
  if (!file) return false;
  const Result<std::string> begin = read_at(file->get(), 0, bytes.size(), path);
  return begin && *begin == bytes;
}

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::string& path) {
  ORCH_TRY(const Fd fd, open_file(path, O_RDONLY));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fail(errno_error(errno, "read", path));
  if (!S_ISREG(info.st_mode)) return fail(errno_error(EINVAL, "map into memory", path));
  const auto size = static_cast<std::size_t>(info.st_size);
  if (size == 0) return std::make_shared<const MappedFile>(nullptr, 0);
  void* const start = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (start == MAP_FAILED) return fail(errno_error(errno, "map into memory", path));
  return std::make_shared<const MappedFile>(start, size);
}

MappedFile::~MappedFile() {
  if (start_ != nullptr) ::munmap(start_, size_);
}

Result<struct stat> stat_file(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return fail(errno_error(errno, "look at", path));
  return info;
}

Result<struct stat> lstat_file(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return fail(errno_error(errno, "look at", path));
  return info;
}

bool exists(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0;
}

Result<> write_all(int fd, std::string_view bytes, std::string_view name) {
  while (!bytes.empty()) {
    const ssize_t done = ::write(fd, bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return fail(errno_error(errno, "write", name));
    bytes.remove_prefix(static_cast<std::size_t>(done));
  }
  return {};
}

Result<std::string> read_at(int fd, std::uint64_t offset, std::size_t size, std::string_view name) {
  std::string out(size, '\0');
  std::size_t used = 0;
  while (used < size) {
    const ssize_t got = ::pread(fd, out.data() + used, size - used, static_cast<off_t>(offset + used));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(errno_error(errno, "read", name));
    if (got == 0) break;
    used += static_cast<std::size_t>(got);
  }
  out.resize(used);
  return out;
}

Result<> write_atomic(const std::string& path, std::string_view bytes, Sync sync, mode_t mode) {
  const std::string temporary = fmt::format("{}.tmp-{}", path, ::getpid());
  Result<> written = [&]() -> Result<> {
    ORCH_TRY(Fd fd, open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode));
    ORCH_CHECK(write_all(fd.get(), bytes, path));
    if (sync == Sync::yes && ::fsync(fd.get()) != 0) return fail(errno_error(errno, "write", path));
    return rename_file(temporary, path);
  }();
  if (!written) {
    ::unlink(temporary.c_str());
    return written;
  }
  if (sync == Sync::yes) {
    ORCH_TRY(const Fd directory, open_file(parent_path(path), O_RDONLY | O_DIRECTORY));
    if (::fsync(directory.get()) != 0) return fail(errno_error(errno, "write", path));
  }
  return {};
}

Result<bool> write_if_changed(const std::string& path, std::string_view bytes) {
  const Result<std::string> present = read_file(path);
  if (present && *present == bytes) return false;
  ORCH_CHECK(write_atomic(path, bytes));
  return true;
}

Result<> make_dirs(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0) return {};
  if (errno == EEXIST) {
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return {};
    return fail(errno_error(ENOTDIR, "make the directory", path));
  }
  if (errno != ENOENT) return fail(errno_error(errno, "make the directory", path));
  const std::string parent = parent_path(path);
  if (parent == path) return fail(errno_error(ENOENT, "make the directory", path));
  ORCH_CHECK(make_dirs(parent, mode));
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST)
    return fail(errno_error(errno, "make the directory", path));
  return {};
}

Result<std::string> make_temp_dir(const std::string& prefix) {
  std::string path = prefix + "XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) return fail(errno_error(errno, "make a directory at", prefix));
  return path;
}

namespace {

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};
using Directory = std::unique_ptr<DIR, CloseDir>;

Result<std::vector<std::string>> names_of(Fd fd, const std::string& path) {
  Directory dir(::fdopendir(fd.get()));
  if (!dir) return fail(errno_error(errno, "list", path));
  (void)fd.release();
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  if (errno != 0) return fail(errno_error(errno, "list", path));
  std::sort(names.begin(), names.end());
  return names;
}

// Removes everything below an open directory. An explicit stack would need as many descriptors; trees that
// this tool makes are bounded in depth by their extractors.
Result<> remove_below(int parent, const std::string& name, const std::string& shown) {
  Fd fd(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd && errno == EACCES) {
    ::fchmodat(parent, name.c_str(), 0700, 0);
    fd.reset(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  }
  if (!fd) return fail(errno_error(errno, "remove", shown));
  struct stat info {};
  if (::fstat(fd.get(), &info) == 0 && (info.st_mode & 0700) != 0700) ::fchmod(fd.get(), 0700);
  Fd copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  ORCH_TRY(const std::vector<std::string> names, names_of(std::move(copy), shown));
  for (const std::string& child : names) {
    if (::unlinkat(fd.get(), child.c_str(), 0) == 0) continue;
    if (errno != EISDIR && errno != EPERM && errno != ENOTEMPTY)
      return fail(errno_error(errno, "remove", shown + "/" + child));
    ORCH_CHECK(remove_below(fd.get(), child, shown + "/" + child));
    if (::unlinkat(fd.get(), child.c_str(), AT_REMOVEDIR) != 0)
      return fail(errno_error(errno, "remove", shown + "/" + child));
  }
  return {};
}

}  // namespace

Result<> remove_tree(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM) return fail(errno_error(errno, "remove", path));
  ORCH_CHECK(remove_below(AT_FDCWD, path, path));
  if (::rmdir(path.c_str()) != 0 && errno != ENOENT) return fail(errno_error(errno, "remove", path));
  return {};
}

Result<> rename_file(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return fail(errno_error(errno, "write", to));
  return {};
}

Result<std::vector<std::string>> list_dir(const std::string& path) {
  ORCH_TRY(Fd fd, open_file(path, O_RDONLY | O_DIRECTORY));
  return names_of(std::move(fd), path);
}

Result<std::string> real_path(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> resolved(::realpath(path.c_str(), nullptr), &std::free);
  if (!resolved) return fail(errno_error(errno, "find", path));
  return std::string(resolved.get());
}

std::string absolute_path(const std::string& path, const std::string& base) {
  std::string full = path;
  if (path.empty() || path[0] != '/') {
    std::string start = base;
    if (start.empty()) {
      std::array<char, PATH_MAX> buffer{};
      if (::getcwd(buffer.data(), buffer.size()) != nullptr) start = buffer.data();
    }
    full = start + "/" + path;
  }
  std::vector<std::string> parts;
  std::size_t at = 0;
  while (at < full.size()) {
    std::size_t end = full.find('/', at);
    if (end == std::string::npos) end = full.size();
    std::string part = full.substr(at, end - at);
    at = end + 1;
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else {
      parts.push_back(std::move(part));
    }
  }
  std::string out;
  for (const std::string& part : parts) out += "/" + part;
  return out.empty() ? "/" : out;
}

std::string parent_path(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string file_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

std::optional<std::string> path_within(const std::string& path, const std::string& base) {
  if (path == base) return ".";
  const std::string prefix = base == "/" ? base : base + "/";
  if (path.rfind(prefix, 0) != 0) return std::nullopt;
  return path.substr(prefix.size());
}

Result<std::optional<FileLock>> FileLock::acquire(const std::string& path, Wait wait) {
  while (true) {
    ORCH_TRY(Fd fd, open_file(path, O_RDWR | O_CREAT, 0644));
    int result = -1;
    do {
      result = ::flock(fd.get(), LOCK_EX | (wait == Wait::no ? LOCK_NB : 0));
    } while (result != 0 && errno == EINTR && wait == Wait::yes);
    if (result != 0 && errno == EWOULDBLOCK) return std::optional<FileLock>{};
    if (result != 0) return fail(errno_error(errno, "lock", path));
    struct stat held {};
    struct stat named {};
    if (::fstat(fd.get(), &held) == 0 && ::stat(path.c_str(), &named) == 0 && held.st_ino == named.st_ino)
      return std::optional<FileLock>(FileLock(std::move(fd)));
  }
}

}  // namespace orch::sys
