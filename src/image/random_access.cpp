#include "image/random_access.hpp"

#include "base/text.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace orch::image {

using base::ErrorKind;
using base::fail;

Result<> read_full(const RandomAccess& data, std::uint64_t offset, std::span<std::uint8_t> out) {
  ORCH_TRY(const std::size_t got, data.read_at(offset, out));
  if (got != out.size())
    return fail(ErrorKind::corrupt,
                fmt::format("the data ends at byte {}, {} more were expected from byte {} on", data.size(),
                            out.size(), offset));
  return {};
}

Result<std::string> read_exact(const RandomAccess& data, std::uint64_t offset, std::size_t size) {
  if (offset > data.size() || size > data.size() - offset)
    return fail(ErrorKind::corrupt,
                fmt::format("the data ends at byte {}, {} bytes were expected from byte {} on", data.size(),
                            size, offset));
  std::string out(size, '\0');
  ORCH_CHECK(read_full(data, offset, {reinterpret_cast<std::uint8_t*>(out.data()), out.size()}));
  return out;
}

Result<std::shared_ptr<FileAccess>> FileAccess::open(const std::string& path) {
  // Non-blocking: the path is the user's, and opening a FIFO would wait for a writer.
  ORCH_TRY(sys::Fd fd, sys::open_file(path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fail(base::errno_error(errno, "read", path));
  if (!S_ISREG(info.st_mode))
    return fail(ErrorKind::unsupported,
                fmt::format("'{}' is {}, expected a file", base::printable(path),
                            S_ISDIR(info.st_mode) ? "a directory" : "not a regular file"),
                "name the AppImage or image file itself");
  return std::make_shared<FileAccess>(std::move(fd), static_cast<std::uint64_t>(info.st_size), path);
}

Result<std::size_t> FileAccess::read_at(std::uint64_t offset, std::span<std::uint8_t> out) const {
  if (offset >= size_) return std::size_t{0};
  const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), size_ - offset));
  std::size_t used = 0;
  while (used < wanted) {
    const ssize_t got =
        ::pread(fd_.get(), out.data() + used, wanted - used, static_cast<off_t>(offset + used));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(base::errno_error(errno, "read", name_));
    if (got == 0) break;
    used += static_cast<std::size_t>(got);
  }
  return used;
}

SliceAccess::SliceAccess(std::shared_ptr<const RandomAccess> whole, std::uint64_t offset, std::uint64_t size)
    : whole_(std::move(whole)), offset_(std::min(offset, whole_->size())), size_(0) {
  size_ = std::min(size, whole_->size() - offset_);
}

Result<std::size_t> SliceAccess::read_at(std::uint64_t offset, std::span<std::uint8_t> out) const {
  if (offset >= size_) return std::size_t{0};
  const std::uint64_t wanted = std::min<std::uint64_t>(out.size(), size_ - offset);
  return whole_->read_at(offset_ + offset, out.first(static_cast<std::size_t>(wanted)));
}

Result<std::size_t> MemoryAccess::read_at(std::uint64_t offset, std::span<std::uint8_t> out) const {
  if (offset >= bytes_.size()) return std::size_t{0};
  const auto start = static_cast<std::size_t>(offset);
  const std::size_t wanted = std::min(out.size(), bytes_.size() - start);
  std::memcpy(out.data(), bytes_.data() + start, wanted);
  return wanted;
}

}  // namespace orch::image
