#include "cli/output_file.hpp"

#include "base/text.hpp"
#include "sys/fd.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace orch::cli {

namespace {

tl::unexpected<base::Error> cannot_write(const std::string& path, int error) {
  return base::fail(base::ErrorKind::io,
                    fmt::format("cannot write '{}': {}", base::printable(path), std::strerror(error)),
                    "name a file in a directory that exists, and that you may write to");
}

}  // namespace

Result<> check_output(const std::string& path) {
  const sys::Result<struct stat> info = sys::stat_file(path);
  if (info && S_ISDIR(info->st_mode)) return cannot_write(path, EISDIR);
  const bool in_place = info && !S_ISREG(info->st_mode);
  const std::string written = in_place ? path : sys::parent_path(path);
  if (::access(written.c_str(), in_place ? W_OK : W_OK | X_OK) != 0) return cannot_write(path, errno);
  return {};
}

Result<> write_output(const std::string& path, std::string_view bytes) {
  ORCH_CHECK(check_output(path));
  const sys::Result<struct stat> info = sys::stat_file(path);
  if (!info) return sys::write_atomic(path, bytes);
  if (S_ISREG(info->st_mode)) {
    ORCH_TRY(const std::string target, sys::real_path(path));
    return sys::write_atomic(target, bytes);
  }
  ORCH_TRY(const sys::Fd fd, sys::open_file(path, O_WRONLY));
  return sys::write_all(fd.get(), bytes, path);
}

}  // namespace orch::cli
