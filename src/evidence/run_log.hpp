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
  // `fd` is open for writing, at the end of an empty file.
  explicit RunLog(sys::Fd fd) : fd_(std::move(fd)) {}
  // Writes all of it. After the first failure the file is cut behind its last complete line, and the rest is
  // dropped.
  void write(std::string_view bytes);
  std::uint64_t bytes() const { return bytes_; }  // in the file
  std::uint64_t seen() const { return seen_; }    // given to write()
  bool truncated() const { return bytes_ != seen_; }
  // Why it was cut; empty if it was not.
  const std::string& problem() const { return problem_; }
  int fd() const { return fd_.get(); }

 private:
  void cut(int number);
  sys::Fd fd_;
  std::uint64_t bytes_ = 0;
  std::uint64_t seen_ = 0;
  std::uint64_t line_end_ = 0;  // behind the last newline in the file
  std::string problem_;
};

}  // namespace orch::evidence
