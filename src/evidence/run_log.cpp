#include "evidence/run_log.hpp"

#include "sys/file.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace orch::evidence {

namespace {

std::string segment_path(const std::string& path, unsigned number) {
  return fmt::format("{}.tail-{}", path, number);
}

}  // namespace

void RunLog::write(std::string_view bytes) {
  seen_ += bytes.size();
  if (!problem_.empty()) return;
  bytes = write_head(bytes);
  if (!bytes.empty() && problem_.empty() && !tail_lost_) write_tail(bytes);
}

// Returns what the limit leaves for the tail.
std::string_view RunLog::write_head(std::string_view bytes) {
  std::string_view rest;
  if (limit_ != 0) {
    const std::uint64_t room = limit_ / 2 - std::min(limit_ / 2, bytes_);
    rest = bytes.substr(std::min<std::uint64_t>(room, bytes.size()));
    bytes.remove_suffix(rest.size());
  }
  while (!bytes.empty() && problem_.empty()) {
    const ssize_t put = ::write(fd_.get(), bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) {
      cut(std::strerror(put < 0 ? errno : ENOSPC));
      return {};
    }
    const std::size_t newline = bytes.substr(0, static_cast<std::size_t>(put)).rfind('\n');
    if (newline != std::string_view::npos) line_end_ = bytes_ + newline + 1;
    bytes_ += static_cast<std::size_t>(put);
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  return rest;
}

void RunLog::write_tail(std::string_view bytes) {
  const std::uint64_t size = std::max<std::uint64_t>(limit_ / 4, 1);
  while (!bytes.empty()) {
    Segment& segment = tail_[current_];
    if (segment.fd && segment.bytes >= size) {  // on to the other one, whose bytes are the oldest of the tail
      current_ = 1 - current_;
      tail_[current_] = {};
      continue;
    }
    if (!segment.fd) {
      sys::Result<sys::Fd> opened =
          sys::open_file(segment_path(path_, current_), O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW);
      if (!opened) {
        problem_ = opened.error().what;
        tail_lost_ = true;
        return;
      }
      segment.fd = *std::move(opened);
    }
    const std::string_view piece =
        bytes.substr(0, std::min<std::uint64_t>(size - segment.bytes, bytes.size()));
    if (const sys::Result<> put = sys::write_all(segment.fd.get(), piece, path_); !put) {
      problem_ = put.error().what;
      tail_lost_ = true;
      return;
    }
    segment.bytes += piece.size();
    bytes.remove_prefix(piece.size());
  }
}

bool RunLog::append(const Segment& segment) {
  constexpr std::size_t k_piece = 256 * 1024;
  for (std::uint64_t at = 0; at < segment.bytes;) {
    const sys::Result<std::string> piece = sys::read_at(segment.fd.get(), at, k_piece, path_);
    if (!piece || piece->empty()) return false;
    if (!sys::write_all(fd_.get(), *piece, path_)) return false;
    at += piece->size();
    bytes_ += piece->size();
  }
  return true;
}

void RunLog::finish() {
  const Segment& older = tail_[1 - current_];
  const Segment& newer = tail_[current_];
  if (!newer.fd) return;
  left_out_ = seen_ - bytes_ - older.bytes - newer.bytes;
  const std::string line = fmt::format("\n[appimage-orch: {} bytes are left out here]\n", left_out_);
  const bool whole =
      (left_out_ == 0 || sys::write_all(fd_.get(), line, path_)) && append(older) && append(newer);
  if (!whole && problem_.empty())
    problem_ = "the end of the log could not be put behind it; it is in " + path_ + ".tail-*";
  for (const unsigned number : {0U, 1U})
    if (tail_[number].fd) {
      tail_[number] = {};
      if (whole) ::unlink(segment_path(path_, number).c_str());
    }
}

void RunLog::cut(std::string why) {
  problem_ = std::move(why);
  if (::ftruncate(fd_.get(), static_cast<off_t>(line_end_)) == 0) bytes_ = line_end_;
}

}  // namespace orch::evidence
