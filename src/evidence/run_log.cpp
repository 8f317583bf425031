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

// How many of the bytes were written; errno says why not all.
std::size_t write_some(int fd, std::string_view bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t put = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (put < 0 && errno == EINTR) continue;
    if (put == 0) errno = ENOSPC;
    if (put <= 0) break;
    done += static_cast<std::size_t>(put);
  }
  return done;
}

}  // namespace

void RunLog::write(std::string_view bytes) {
  seen_ += bytes.size();
  if (tail_lost_) lost_ += bytes.size();
  if (!problem_.empty()) return;
  bytes = write_head(bytes);
  if (!bytes.empty() && problem_.empty()) write_tail(bytes);
}

// Behind what the file has; false, with errno, where not all of it could be written.
bool RunLog::put(std::string_view bytes) {
  const std::size_t done = write_some(fd_.get(), bytes);
  const std::size_t newline = bytes.substr(0, done).rfind('\n');
  if (newline != std::string_view::npos) line_end_ = size_ + newline + 1;
  size_ += done;
  return done == bytes.size();
}

// Returns what the limit leaves for the tail.
std::string_view RunLog::write_head(std::string_view bytes) {
  std::string_view rest;
  if (limit_ != 0) {
    const std::uint64_t room = limit_ / 2 - std::min(limit_ / 2, size_);
    rest = bytes.substr(std::min<std::uint64_t>(room, bytes.size()));
    bytes.remove_suffix(rest.size());
  }
  if (put(bytes)) return rest;
  cut(std::strerror(errno));
  return {};
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
      if (!opened) return lose_tail(bytes.size(), opened.error().what);
      segment.fd = *std::move(opened);
    }
    const std::string_view piece =
        bytes.substr(0, std::min<std::uint64_t>(size - segment.bytes, bytes.size()));
    const std::size_t done = write_some(segment.fd.get(), piece);
    segment.bytes += done;
    bytes.remove_prefix(done);
    if (done != piece.size()) return lose_tail(bytes.size(), std::strerror(errno));
  }
}

void RunLog::lose_tail(std::size_t bytes, std::string why) {
  tail_lost_ = true;
  lost_ += bytes;
  problem_ = std::move(why);
}

bool RunLog::append(const Segment& segment) {
  constexpr std::uint64_t k_piece = 256 * 1024;
  for (std::uint64_t at = 0; at < segment.bytes;) {
    const sys::Result<std::string> piece =
        sys::read_at(segment.fd.get(), at, std::min(k_piece, segment.bytes - at), path_);
    if (!piece || piece->empty() || !put(*piece)) return false;
    at += piece->size();
  }
  return true;
}

// A part of it would say nothing, and what ends with it is no line of the application's: all of it, or none.
bool RunLog::put_note() {
  const std::uint64_t lines = line_end_;
  const std::string line = fmt::format("\n[appimage-orch: {} bytes are left out here]\n", left_out_);
  if (put(line)) {
    note_ = line.size();
    return true;
  }
  line_end_ = lines;
  left_out_ = 0;
  return false;
}

void RunLog::finish() {
  const Segment& older = tail_[1 - current_];
  const Segment& newer = tail_[current_];
  if (!newer.fd && !older.fd) return;
  left_out_ = seen_ - lost_ - size_ - older.bytes - newer.bytes;
  const bool whole = (left_out_ == 0 || put_note()) && append(older) && append(newer);
  if (!whole && problem_.empty())
    problem_ = "the end of the log could not be put behind it; it is in " + path_ + ".tail-*";
  if (!whole || tail_lost_) cut(std::move(problem_));
  for (const unsigned number : {0U, 1U})
    if (tail_[number].fd) {
      tail_[number] = {};
      if (whole) ::unlink(segment_path(path_, number).c_str());
    }
}

void RunLog::cut(std::string why) {
  problem_ = std::move(why);
  if (::ftruncate(fd_.get(), static_cast<off_t>(line_end_)) == 0) size_ = line_end_;
}

}  // namespace orch::evidence
