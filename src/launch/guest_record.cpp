#include "launch/guest_record.hpp"

#include "base/text.hpp"
#include "sys/file.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <vector>

namespace orch::launch {

namespace {

constexpr const char* k_cancelled = ".cancelled";

// The numbers behind the first word.
std::vector<int> numbers_of(std::string_view line) {
  std::vector<int> out;
  for (const std::string_view word : base::split(line, ' ')) {
    int number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error == std::errc() && end == word.data() + word.size()) out.push_back(number);
  }
  return out;
}

// False where the file system writes in place anyway, or has no such flag. Only an empty file takes it.
bool set_written_in_place(int fd) {
  int flags = 0;
  if (::ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0) return false;
  flags |= FS_NOCOW_FL;
  return ::ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0;
}

}  // namespace

GuestRecord parse_guest_record(std::string_view text) {
  GuestRecord out;
  out.kept = true;
  for (const std::string_view line : base::split(text, '\n')) {
    const std::string_view word = line.substr(0, line.find(' '));
    const std::vector<int> numbers = numbers_of(line);
    if (line.empty()) continue;
    if (!out.started) {
      if (word != "started" || numbers.empty()) continue;
      out.started = true;
      out.pid = numbers[0];
      out.group = numbers.size() > 1 ? numbers[1] : 0;
    } else if (line == "directory") {
      out.no_directory = true;
    } else if (line == "prelude" || line == "application") {
      out.preparing = line == "prelude";
    } else if (word == "pre" && numbers.size() == 1) {
      out.prelude = numbers[0];
    } else if (word == "ended" && numbers.size() == 1) {
      out.ended = numbers[0];
    } else {
      out.message += (out.message.empty() ? "" : "\n") + std::string(line);
    }
  }
  return out;
}

GuestRecord read_guest_record(const std::string& path) {
  if (path.empty()) return {};
  const sys::Result<std::string> text = sys::read_file(path);
  return parse_guest_record(text ? *text : std::string());
}

base::Result<> reserve_guest_record(const std::string& path) {
  constexpr std::size_t k_block = 4096;
  ORCH_CHECK(sys::remove_tree(path + k_cancelled));
  ORCH_TRY(const sys::Fd file, sys::open_file(path, O_WRONLY | O_CREAT | O_NOFOLLOW, 0600));
  const bool in_place = set_written_in_place(file.get());
  ORCH_CHECK(sys::write_all(file.get(), std::string(k_block, '\n'), path));
  if (::ftruncate(file.get(), k_block) != 0) return base::fail(base::errno_error(errno, "write", path));
  // What was never on the disk has no place there. A failure says itself later, if at all.
  if (in_place) (void)::fdatasync(file.get());
  return {};
}

base::Result<> cancel_guest(const std::string& path) {
  ORCH_TRY(const sys::Fd file, sys::open_file(path + k_cancelled, O_WRONLY | O_CREAT | O_NOFOLLOW, 0600));
  return {};
}

}  // namespace orch::launch
