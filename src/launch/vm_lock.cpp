#include "launch/vm_lock.hpp"

#include "base/text.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <sys/sysmacros.h>

#include <charconv>
#include <vector>

namespace orch::launch {

std::optional<pid_t> lock_holder(std::string_view locks, unsigned major, unsigned minor,
                                 std::uint64_t inode) {
  const std::string file = fmt::format("{:02x}:{:02x}:{}", major, minor, inode);
  for (const std::string_view line : base::split(locks, '\n')) {
    std::vector<std::string_view> words;
    for (const std::string_view word : base::split(line, ' '))
      if (!word.empty()) words.push_back(word);
    // "N: -> FLOCK …" is somebody who waits for the lock.
    constexpr std::size_t k_words = 6;
    if (words.size() < k_words || words[1] != "FLOCK" || words[5] != file) continue;
    pid_t pid = 0;
    std::from_chars(words[4].data(), words[4].data() + words[4].size(), pid);
    return pid < 0 ? 0 : pid;
  }
  return std::nullopt;
}

std::optional<pid_t> running_vm(const std::string& runtime_dir) {
  const sys::Result<struct stat> info = sys::stat_file(runtime_dir + "/muvm.lock");
  const sys::Result<std::string> locks = sys::read_file("/proc/locks");
  if (!info || !locks) return std::nullopt;
  return lock_holder(*locks, gnu_dev_major(info->st_dev), gnu_dev_minor(info->st_dev), info->st_ino);
}

}  // namespace orch::launch
