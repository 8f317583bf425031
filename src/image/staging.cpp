#include "image/staging.hpp"

#include "base/text.hpp"
#include "image/file_tree.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace orch::image {

using base::errno_error;
using base::ErrorKind;
using base::fail;

namespace {

constexpr std::size_t k_open_directories = 32;

Result<> check_name(const std::string& name) {
  if (is_valid_name(name)) return {};
  return fail(ErrorKind::corrupt,
              fmt::format("the image has an entry with the name '{}'", base::printable(name)),
              "this image was made to write outside of its directory; do not use it");
}

std::array<timespec, 2> times_of(std::int64_t mtime) {
  timespec time{};
  time.tv_sec = mtime;
  return {time, time};
}

}  // namespace

Result<Staging> Staging::create(const std::string& target) {
  if (::mkdir(target.c_str(), 0700) != 0) return fail(errno_error(errno, "create directory", target));
  ORCH_TRY(sys::Fd root, sys::open_file(target, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  return Staging(target, std::move(root));
}

void Staging::set_root(std::uint32_t mode, std::int64_t mtime) {
  directories_[0].mode = mode;
  directories_[0].mtime = mtime;
}

std::string Staging::path_of(DirIndex directory, std::string_view name) const {
  std::string path(name);
  for (DirIndex at = directory; at != 0; at = directories_[at].parent)
    path = directories_[at].name + "/" + path;
  return path;
}

Result<DirIndex> Staging::add_directory(DirIndex parent, const std::string& name, std::uint32_t mode,
                                        std::int64_t mtime) {
  ORCH_CHECK(check_name(name));
  StagingWriter writer(*this);
  ORCH_TRY(const int fd, writer.directory_fd(parent));
  if (::mkdirat(fd, name.c_str(), 0700) != 0)
    return fail(errno_error(errno, "create directory", path_of(parent, name)));
  directories_.push_back({parent, name, mode, mtime});
  return static_cast<DirIndex>(directories_.size() - 1);
}

Result<> Staging::finish() {
  StagingWriter writer(*this);
  for (std::size_t i = directories_.size(); i-- > 0;) {
    const auto index = static_cast<DirIndex>(i);
    const Directory& directory = directories_[i];
    ORCH_TRY(const int fd, writer.directory_fd(index));
    const auto times = times_of(directory.mtime);
    if (::fchmod(fd, (directory.mode & 0777) | 0700) != 0 || ::futimens(fd, times.data()) != 0)
      return fail(errno_error(errno, "set the mode of", path_of(directory.parent, directory.name)));
  }
  return {};
}

Result<int> StagingWriter::directory_fd(DirIndex directory) {
  if (directory == 0) return staging_.root_.get();
  if (const auto found = where_.find(directory); found != where_.end()) {
    open_.splice(open_.begin(), open_, found->second);
    return found->second->second.get();
  }
  const Staging::Directory& record = staging_.directories_[directory];
  ORCH_TRY(const int parent, directory_fd(record.parent));
  sys::Fd fd(::openat(parent, record.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return fail(errno_error(errno, "open directory", staging_.path_of(record.parent, record.name)));
  open_.emplace_front(directory, std::move(fd));
  where_[directory] = open_.begin();
  if (open_.size() > k_open_directories) {
    where_.erase(open_.back().first);
    open_.pop_back();
  }
  return open_.front().second.get();
}

Result<sys::Fd> StagingWriter::create_file(DirIndex directory, const std::string& name) {
  ORCH_CHECK(check_name(name));
  ORCH_TRY(const int parent, directory_fd(directory));
  sys::Fd fd(::openat(parent, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return fail(errno_error(errno, "create", staging_.path_of(directory, name)));
  return fd;
}

Result<> StagingWriter::finish_file(sys::Fd fd, DirIndex directory, const std::string& name,
                                    std::uint32_t mode, std::int64_t mtime) {
  const auto times = times_of(mtime);
  if (::futimens(fd.get(), times.data()) != 0 || ::fchmod(fd.get(), mode & 0777) != 0 ||
      ::close(fd.release()) != 0)
    return fail(errno_error(errno, "write", staging_.path_of(directory, name)));
  return {};
}

Result<> StagingWriter::make_symlink(DirIndex directory, const std::string& name, const std::string& target,
                                     std::int64_t mtime) {
  ORCH_CHECK(check_name(name));
  ORCH_TRY(const int parent, directory_fd(directory));
  const auto times = times_of(mtime);
  if (::symlinkat(target.c_str(), parent, name.c_str()) != 0 ||
      ::utimensat(parent, name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0)
    return fail(errno_error(errno, "create the link", staging_.path_of(directory, name)));
  return {};
}

Result<> StagingWriter::make_hard_link(DirIndex from_directory, const std::string& from, DirIndex directory,
                                       const std::string& name) {
  ORCH_CHECK(check_name(name));
  ORCH_TRY(const int kept, directory_fd(from_directory));
  const sys::Fd source(::fcntl(kept, F_DUPFD_CLOEXEC, 0));  // the next call may close the kept one
  ORCH_TRY(const int parent, directory_fd(directory));
  if (!source || ::linkat(source.get(), from.c_str(), parent, name.c_str(), 0) != 0)
    return fail(errno_error(errno, "create the link", staging_.path_of(directory, name)));
  return {};
}

}  // namespace orch::image
