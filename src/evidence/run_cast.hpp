// run.cast: the terminal's output with its timing, as asciicast v2 (docs.asciinema.org, "asciicast file format, version 2"):
// one JSON line for the header, then one for each event. What the terminal got that is no UTF-8 becomes U+FFFD: run.log has
// the bytes.
#pragma once

#include "base/result.hpp"
#include "sys/fd.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace orch::evidence {

class RunCast {
 public:
  struct Header {
    int columns = 80;
    int rows = 24;
    std::int64_t started = 0;  // seconds since 1970
    std::string title;
  };
  RunCast() = default;
  // `fd` is open for writing, at the end of an empty file.
  RunCast(sys::Fd fd, const Header& header);
  RunCast(RunCast&&) noexcept = default;
  RunCast& operator=(RunCast&&) noexcept = default;

  // `seconds` since the beginning. What comes within 1/60 s becomes one event. Ends quietly where nothing can be written, and
  // after 64 MiB.
  void write(std::string_view bytes, double seconds);
  void finish();

 private:
  void flush(bool all);
  void put(std::string_view text);

  sys::Fd fd_;
  std::string pending_;
  double since_ = 0;  // of the first pending byte
  std::uint64_t bytes_ = 0;
};

// A JSON string; bytes that are no UTF-8 become U+FFFD.
std::string json_text(std::string_view bytes);

// How many bytes at the end of `bytes` are the beginning of a character whose rest is to come; at most three.
std::size_t open_character(std::string_view bytes);

}  // namespace orch::evidence
