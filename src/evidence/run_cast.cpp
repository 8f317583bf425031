#include "evidence/run_cast.hpp"

#include "sys/file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace orch::evidence {

namespace {

constexpr double k_frame = 1.0 / 60;
constexpr double k_pause = 0.25;
constexpr std::size_t k_most_frames = 4096;
constexpr std::uint64_t k_most_bytes = 16ULL << 20;
constexpr std::size_t k_most_of_event = 64 * 1024;

bool continues(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

// What the first byte says of the length of its character; 0 for what begins none.
std::size_t announced_length(char first) {
  const auto byte = static_cast<unsigned char>(first);
  if (byte < 0x80) return 1;
  if (byte >= 0xC2 && byte <= 0xDF) return 2;
  if (byte >= 0xE0 && byte <= 0xEF) return 3;
  return byte >= 0xF0 && byte <= 0xF4 ? 4 : 0;
}

// Too long forms, surrogates and what lies behind U+10FFFF; the Unicode standard, table 3-7.
bool second_byte_fits(char first, char second) {
  const auto one = static_cast<unsigned char>(first);
  const auto two = static_cast<unsigned char>(second);
  if (one == 0xE0) return two >= 0xA0;
  if (one == 0xED) return two <= 0x9F;
  if (one == 0xF0) return two >= 0x90;
  return one != 0xF4 || two <= 0x8F;
}

// Length of the character at the beginning, 0 if it is none.
std::size_t character(std::string_view bytes) {
  const std::size_t length = announced_length(bytes[0]);
  if (length == 0 || length > bytes.size()) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if (!continues(bytes[i])) return 0;
  return length == 1 || second_byte_fits(bytes[0], bytes[1]) ? length : 0;
}

// Stands for itself in a JSON string.
constexpr bool is_plain(unsigned char c) {
  constexpr unsigned char k_delete = 0x7F;
  return c >= ' ' && c < k_delete && c != '"' && c != '\\';
}

constexpr auto k_plain = [] {
  std::array<bool, 256> out{};
  for (std::size_t c = 0; c < out.size(); ++c) out[c] = is_plain(static_cast<unsigned char>(c));
  return out;
}();

// Whether all eight bytes of the word are plain. Each test sets the highest bit of the bytes that it is about, and may set that
// of bytes above one of these.
bool all_plain(std::uint64_t word) {
  constexpr std::uint64_t k_ones = 0x0101010101010101;
  constexpr std::uint64_t k_highest = k_ones << 7;
  const auto below = [word](std::uint64_t limit) { return (word - k_ones * limit) & ~word; };
  const auto equals = [word](unsigned char c) {
    const std::uint64_t difference = word ^ (k_ones * c);
    return (difference - k_ones) & ~difference;
  };
  constexpr unsigned char k_delete = 0x7F;
  return ((word | below(' ') | equals('"') | equals('\\') | equals(k_delete)) & k_highest) == 0;
}

std::size_t plain_length(std::string_view bytes) {
  std::size_t out = 0;
  for (std::uint64_t word = 0; out + sizeof word <= bytes.size(); out += sizeof word) {
    std::memcpy(&word, bytes.data() + out, sizeof word);
    if (!all_plain(word)) break;
  }
  while (out < bytes.size() && k_plain[static_cast<unsigned char>(bytes[out])]) ++out;
  return out;
}

void append_control(std::string& out, char c) {
  constexpr std::string_view k_digits = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(c);
  out += "\\u00";
  out += k_digits[byte >> 4];
  out += k_digits[byte & 0xF];
}

}  // namespace

void append_json_text(std::string& out, std::string_view bytes) {
  out += '"';
  for (;;) {
    const std::size_t plain = plain_length(bytes);  // most of it
    out += bytes.substr(0, plain);
    bytes.remove_prefix(plain);
    if (bytes.empty()) break;
    const std::size_t length = character(bytes);
    const char c = bytes[0];
    if (length == 0)
      out += "\xEF\xBF\xBD";
    else if (c == '"' || c == '\\')
      (out += '\\') += c;
    else if (length == 1)
      append_control(out, c);
    else
      out += bytes.substr(0, length);
    bytes.remove_prefix(std::max<std::size_t>(length, 1));
  }
  out += '"';
}

std::size_t open_character(std::string_view bytes) {
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, bytes.size()); ++back) {
    const char c = bytes[bytes.size() - back];
    if (continues(c)) continue;
    return announced_length(c) > back ? back : 0;
  }
  return 0;
}

RunCast::RunCast(sys::Fd fd, int log, const Header& header) : fd_(std::move(fd)), log_(log) {
  std::string line = fmt::format(R"({{"version": 2, "width": {}, "height": {}, "timestamp": {}, "title": )",
                                 header.columns, header.rows, header.started);
  append_json_text(line, header.title);
  put(line + "}\n");
}

void RunCast::note(std::uint64_t bytes, double seconds) {
  if (!fd_ || noted_ == k_most_bytes) return;
  if (seconds - last_ > k_pause || frames_.size() >= k_most_frames) catch_up(true);
  last_ = seconds;
  noted_ = std::min(bytes, k_most_bytes);
  if (frames_.empty() || seconds - frames_.back().seconds > k_frame)
    frames_.push_back({seconds, noted_});
  else
    frames_.back().end = noted_;
}

void RunCast::finish(std::uint64_t all) {
  const double seconds = frames_.empty() ? last_ : frames_.back().seconds;
  catch_up(false);
  if (noted_ < all && fd_)
    put(fmt::format("[{:.6f}, \"m\", \"the recording ends here: run.log has the rest\"]\n", seconds));
  fd_.reset();
}

// With whole characters: the beginning of one is kept for the next frame.
void RunCast::catch_up(bool whole_characters) {
  for (const Frame& frame : frames_)
    while (fd_ && recorded_ < frame.end && put_events(frame, whole_characters)) {
    }
  frames_.clear();
}

// False if nothing of the frame is left that can be written now.
bool RunCast::put_events(const Frame& frame, bool whole_characters) {
  const std::size_t wanted = std::min<std::uint64_t>(frame.end - recorded_, k_most_of_event);
  const sys::Result<std::string> bytes = sys::read_at(log_, recorded_, wanted, "run.log");
  if (!bytes || bytes->empty()) return false;
  const bool last = recorded_ + bytes->size() == noted_ && !whole_characters;
  const std::size_t size = bytes->size() - (last ? 0 : open_character(*bytes));
  if (size == 0) return false;
  std::string line = fmt::format("[{:.6f}, \"o\", ", frame.seconds);
  line.reserve(line.size() + size + size / 4);  // of ordinary text
  append_json_text(line, std::string_view(*bytes).substr(0, size));
  put(line + "]\n");
  recorded_ += size;
  return true;
}

void RunCast::put(std::string_view text) {
  const sys::Result<> written = sys::write_all(fd_.get(), text, "run.cast");
  if (written) return;
  problem_ = written.error().what;
  fd_.reset();
}

}  // namespace orch::evidence
