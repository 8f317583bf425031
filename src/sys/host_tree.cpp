#include "sys/host_tree.hpp"

#include "base/text.hpp"
#include "sys/fd.hpp"
#include "sys/file.hpp"

#include <climits>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace orch::sys {

using base::errno_error;
using base::fail;

namespace {

// In front of what is left to walk through: the parts of `path`, the last one first.
void put_parts(std::string_view path, std::vector<std::string>& left) {
  const std::vector<std::string_view> parts = base::split(path, '/');
  for (auto part = parts.rbegin(); part != parts.rend(); ++part)
    if (!part->empty() && *part != ".") left.emplace_back(*part);
}

}  // namespace

HostTree HostTree::below(const std::string& root) {
  HostTree out;
  out.root_ = absolute_path(root);
  return out;
}

// path_resolution(7), by hand: the kernel would follow links from its own root.
Result<std::string> HostTree::real_path(const std::string& path) const {
  if (root_.empty()) return path;
  constexpr int k_most_links = 40;
  std::vector<std::string> left;
  put_parts(path, left);
  std::string at = root_;
  for (int links = 0; !left.empty();) {
    const std::string part = std::move(left.back());
    left.pop_back();
    if (part == "..") {
      if (at != root_) at = parent_path(at);
      continue;
    }
    const std::string next = at + "/" + part;
    std::array<char, PATH_MAX> target{};
    const ssize_t size = ::readlink(next.c_str(), target.data(), target.size());
    if (size < 0) {  // no link, or nothing at all
      at = next;
      continue;
    }
    if (++links > k_most_links) return fail(errno_error(ELOOP, "look at", path));
    if (target[0] == '/') at = root_;
    put_parts({target.data(), static_cast<std::size_t>(size)}, left);
  }
  return at;
}

Result<struct stat> HostTree::stat(const std::string& path) const {
  ORCH_TRY(const std::string real, real_path(path));
  return stat_file(real);
}

bool HostTree::is_directory(const std::string& path) const {
  const Result<struct stat> info = stat(path);
  return info && S_ISDIR(info->st_mode);
}

bool HostTree::is_program(const std::string& path) const {
  const Result<std::string> real = real_path(path);
  const Result<struct stat> info = real ? stat_file(*real) : Result<struct stat>(fail(real.error()));
  return info && S_ISREG(info->st_mode) && ::access(real->c_str(), X_OK) == 0;
}

Result<std::string> HostTree::read(const std::string& path, std::size_t most, std::uint64_t offset) const {
  ORCH_TRY(const std::string real, real_path(path));
  ORCH_TRY(const struct stat info, stat_file(real));
  if (!S_ISREG(info.st_mode)) return fail(errno_error(S_ISDIR(info.st_mode) ? EISDIR : EINVAL, "read", path));
  ORCH_TRY(const Fd fd, open_file(real, O_RDONLY | O_NONBLOCK));
  return read_at(fd.get(), offset, most, path);
}

Result<std::vector<std::string>> HostTree::list(const std::string& path) const {
  ORCH_TRY(const std::string real, real_path(path));
  return list_dir(real);
}

}  // namespace orch::sys
