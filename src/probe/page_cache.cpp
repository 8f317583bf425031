#include "probe/page_cache.hpp"

#include "base/text.hpp"
#include "sys/fd.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <system_error>
#include <unistd.h>

#include <filesystem>

namespace orch::probe {

namespace {

bool drop_all() {
  const sys::Fd file(::open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC));
  return file && ::write(file.get(), "3", 1) == 1;
}

struct Dropped {
  std::size_t files = 0;
  std::size_t failed = 0;
};

void drop_file(const std::filesystem::path& path, Dropped& out) {
  const sys::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  const bool dropped =
      file && ::fdatasync(file.get()) == 0 && ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED) == 0;
  ++(dropped ? out.files : out.failed);
}

void drop_path(const std::string& path, Dropped& out) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (!fs::is_directory(fs::symlink_status(path, error))) return drop_file(path, out);
  for (fs::recursive_directory_iterator it(path, fs::directory_options::skip_permission_denied, error), end;
       !error && it != end; it.increment(error)) {
    std::error_code of_entry;
    if (it->is_regular_file(of_entry) && !it->is_symlink(of_entry)) drop_file(it->path(), out);
  }
}

}  // namespace

std::string_view to_string(CacheDrop::Method method) {
  switch (method) {
    case CacheDrop::Method::drop_caches:
      return "drop_caches";
    case CacheDrop::Method::fadvise:
      return "fadvise";
    case CacheDrop::Method::none:
      break;
  }
  return "none";
}

CacheDrop drop_pages_of(const std::vector<std::string>& paths) {
  Dropped dropped;
  for (const std::string& path : paths) drop_path(path, dropped);
  if (dropped.files == 0)
    return {CacheDrop::Method::none,
            "nothing was dropped: this process may not write to /proc/sys/vm/drop_caches, and no file of the "
            "stack could be opened"};
  std::string detail = fmt::format(
      "only {} of the stack and the application were dropped, not programs and libraries of the host (for "
      "that /proc/sys/vm/drop_caches must be writable)",
      base::quantity(dropped.files, "file", "files"));
  if (dropped.failed != 0)
    detail += fmt::format("; {} could not be", base::quantity(dropped.failed, "file", "files"));
  return {CacheDrop::Method::fadvise, detail};
}

CacheDrop drop_page_cache(const std::vector<std::string>& paths) {
  ::sync();
  if (drop_all()) return {CacheDrop::Method::drop_caches, "the whole page cache was dropped"};
  return drop_pages_of(paths);
}

}  // namespace orch::probe
