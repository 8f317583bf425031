#include "evidence/run_log.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace orch::evidence {

void RunLog::write(std::string_view bytes) {
  seen_ += bytes.size();
  while (!bytes.empty() && problem_.empty()) {
    const ssize_t put = ::write(fd_.get(), bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return cut(put < 0 ? errno : ENOSPC);
    const std::size_t newline = bytes.substr(0, static_cast<std::size_t>(put)).rfind('\n');
    if (newline != std::string_view::npos) line_end_ = bytes_ + newline + 1;
    bytes_ += static_cast<std::size_t>(put);
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
}

void RunLog::cut(int number) {
  problem_ = std::strerror(number);
  if (::ftruncate(fd_.get(), static_cast<off_t>(line_end_)) == 0) bytes_ = line_end_;
}

}  // namespace orch::evidence
