// run.log: the terminal's bytes, exactly. What cannot be written does not disturb the application.
#pragma once

#include "base/result.hpp"
#include "sys/fd.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace orch::evidence {

class RunLog {
 public:
  RunLog() = default;
  // `fd` is open for reading and writing, at the end of an empty file. With a limit in bytes (0: none) the file keeps the
  // first half of it; what follows goes to two hidden files PATH.tail-0 and -1 by turns, a quarter each, and finish() puts
  // them behind, with a line in between that says how much was left out. A run that is killed leaves the three files.
  explicit RunLog(sys::Fd fd, std::string path = {}, std::uint64_t limit = 0)
      : fd_(std::move(fd)), path_(std::move(path)), limit_(limit) {}
  RunLog(RunLog&&) noexcept = default;
  RunLog& operator=(RunLog&&) noexcept = default;

  void set_limit(std::uint64_t limit) { limit_ = limit; }
  // Writes all of it. After the first failure the file is cut behind its last complete line, and the rest is
  // dropped.
  void write(std::string_view bytes);
  // After the last write. What cannot be put behind the first half stays in PATH.tail-0 and -1, and the file is cut as above.
  void finish();

  std::uint64_t bytes() const {
    return size_ - note_;
  }                                             // in the file, without the line about what was left out
  std::uint64_t seen() const { return seen_; }  // given to write()
  bool truncated() const { return bytes() != seen_; }
  std::uint64_t left_out() const { return left_out_; }  // because of the limit
  // Why it was cut; empty if it was not.
  const std::string& problem() const { return problem_; }
  int fd() const { return fd_.get(); }

 private:
  struct Segment {
    sys::Fd fd;
    std::uint64_t bytes = 0;
  };
  std::string_view write_head(std::string_view bytes);
  void write_tail(std::string_view bytes);
  bool put(std::string_view bytes);
  bool put_note();
  bool append(const Segment& segment);
  void lose_tail(std::size_t bytes, std::string why);
  void cut(std::string why);

  sys::Fd fd_;
  std::string path_;
  std::uint64_t limit_ = 0;
  std::uint64_t size_ = 0;  // of the file
  std::uint64_t note_ = 0;  // of it: the line about what was left out
  std::uint64_t seen_ = 0;
  std::uint64_t left_out_ = 0;
  std::uint64_t line_end_ = 0;  // behind the last newline in the file
  Segment tail_[2];
  unsigned current_ = 0;  // of the segments: the one that is written
  std::string problem_;
  bool tail_lost_ = false;  // a part of the tail could not be written
  std::uint64_t lost_ = 0;  // bytes: that part, and all that came after it
};

}  // namespace orch::evidence
