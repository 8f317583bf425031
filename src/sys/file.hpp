// Files: reading, atomic writing, directories, locks. Paths are byte strings; errors name the path.
// Every descriptor that is opened here is close-on-exec unless said otherwise.
#pragma once

#include "base/result.hpp"
#include "sys/fd.hpp"

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orch::sys {

using base::Result;

Result<std::string> read_file(const std::string& path);

// False also where it cannot be read.
bool begins_with(const std::string& path, std::string_view bytes);
inline constexpr std::string_view k_elf_magic{"\x7F\x45\x4C\x46"};  // elf(5), ELFMAG

// A whole regular file in memory, read-only, by mmap(2). Only for files that nobody shortens, as the artifacts of
// the store: a program that reads what a file no longer has ends with SIGBUS.
class MappedFile {
 public:
  static Result<std::shared_ptr<const MappedFile>> open(const std::string& path);
  MappedFile(void* start, std::size_t size) : start_(start), size_(size) {}
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();
  std::string_view bytes() const { return {static_cast<const char*>(start_), size_}; }

 private:
  void* start_;  // nullptr for an empty file
  std::size_t size_;
};

// Opens with O_CLOEXEC. `flags` as for open(2).
Result<Fd> open_file(const std::string& path, int flags, mode_t mode = 0666);
Result<struct stat> stat_file(const std::string& path);  // follows symlinks
Result<struct stat> lstat_file(const std::string& path);
bool exists(const std::string& path);  // lstat: a dangling link exists

// Writes all, whatever the kernel takes at a time.
Result<> write_all(int fd, std::string_view bytes, std::string_view name);
// Reads up to `size` bytes at `offset`; fewer only at the end of the file.
Result<std::string> read_at(int fd, std::uint64_t offset, std::size_t size, std::string_view name);

enum class Sync { no, yes };
// Writes PATH by a temporary file beside it and rename(2): readers see the old or the new bytes, nothing
// else. With Sync::yes file and directory are fsynced.
Result<> write_atomic(const std::string& path, std::string_view bytes, Sync sync = Sync::no,
                      mode_t mode = 0644);
// As write_atomic, but leaves a file alone whose bytes are the same. True if it wrote.
Result<bool> write_if_changed(const std::string& path, std::string_view bytes);

Result<> make_dirs(const std::string& path, mode_t mode = 0777);
// A new directory "PREFIXxxxxxx", mode 0700.
Result<std::string> make_temp_dir(const std::string& prefix);
// Removes a file or a whole tree, never following links; makes directories writable on the way. Absent is
// success.
Result<> remove_tree(const std::string& path);
Result<> rename_file(const std::string& from, const std::string& to);

// Names in a directory without "." and "..", sorted by bytes.
Result<std::vector<std::string>> list_dir(const std::string& path);
// Absolute, symlinks resolved; fails if it does not exist.
Result<std::string> real_path(const std::string& path);
// Absolute and lexically normal ("a/../b" is "b"); need not exist. Relative to `base`, or to the working
// directory.
std::string absolute_path(const std::string& path, const std::string& base = {});
std::string parent_path(const std::string& path);
std::string file_name(const std::string& path);
// `path` relative to `base` if it lies in it ("." if equal), else nullopt. Both absolute and normal.
std::optional<std::string> path_within(const std::string& path, const std::string& base);

// An advisory lock by flock(2) on a lock file; released with the last descriptor, so a child that inherits it
// keeps it.
class FileLock {
 public:
  enum class Wait { no, yes };
  // Without Wait::yes: nullopt if somebody else holds it. The file may be unlinked by its holder: a lock on a
  // file that is no longer at `path` is not taken.
  static Result<std::optional<FileLock>> acquire(const std::string& path, Wait wait);
  int fd() const { return fd_.get(); }

 private:
  explicit FileLock(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace orch::sys
