// run.cast: the terminal's output with its timing, as asciicast v2 (docs.asciinema.org, "asciicast file format, version 2"):
// one JSON line for the header, then one for each event. What the terminal got that is no UTF-8 becomes U+FFFD: run.log has
// the bytes.
#pragma once

#include "base/result.hpp"
#include "sys/fd.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace orch::evidence {

// Only when something came is remembered while the output flows; the text is taken out of run.log when output comes after
// a pause, and at the end, so that a recording costs a program that prints a lot nothing. It is about the first 16 MiB of the log.
class RunCast {
 public:
  struct Header {
    int columns = 80;
    int rows = 24;
    std::int64_t started = 0;  // seconds since 1970
    std::string title;
  };
  RunCast() = default;
  // `fd` is open for writing, at the end of an empty file; `log` for reading, and outlives this. Bytes
  // that the log loses again (a full disk) are not recorded.
  RunCast(sys::Fd fd, int log, const Header& header);
  RunCast(RunCast&&) noexcept = default;
  RunCast& operator=(RunCast&&) noexcept = default;

  // The log has so many bytes, `seconds` after the beginning. What comes within 1/60 s becomes one event.
  void note(std::uint64_t bytes, double seconds);
  // `all`: how many bytes there were. Where the recording has fewer, its last event says so.
  void finish(std::uint64_t all);
  // Why the recording ends early; empty if it does not.
  const std::string& problem() const { return problem_; }

 private:
  struct Frame {
    double seconds;
    std::uint64_t end;  // in the log
  };
  void catch_up(bool whole_characters);
  bool put_events(const Frame& frame, bool whole_characters);
  void put(std::string_view text);

  sys::Fd fd_;
  int log_ = -1;
  std::vector<Frame> frames_;   // not written yet
  std::uint64_t noted_ = 0;     // bytes of the log
  std::uint64_t recorded_ = 0;  // of them: in the file
  double last_ = 0;             // when something came
  std::string problem_;
};

// Adds a JSON string; bytes that are no UTF-8 become U+FFFD.
void append_json_text(std::string& out, std::string_view bytes);

// How many bytes at the end of `bytes` are the beginning of a character whose rest is to come; at most three.
std::size_t open_character(std::string_view bytes);

}  // namespace orch::evidence
