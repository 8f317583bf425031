#include "evidence/run_cast.hpp"

#include "sys/file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace orch::evidence {

namespace {

constexpr double k_frame = 1.0 / 60;
constexpr std::size_t k_most_pending = 64 * 1024;
constexpr std::uint64_t k_most_bytes = 64ULL << 20;

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

std::size_t plain_length(std::string_view bytes) {
  std::size_t out = 0;
  while (out < bytes.size() && k_plain[static_cast<unsigned char>(bytes[out])]) ++out;
  return out;
}

}  // namespace

std::string json_text(std::string_view bytes) {
  std::string out = "\"";
  out.reserve(bytes.size() + bytes.size() / 8 + 2);
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
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    else
      out += bytes.substr(0, length);
    bytes.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out + "\"";
}

std::size_t open_character(std::string_view bytes) {
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, bytes.size()); ++back) {
    const char c = bytes[bytes.size() - back];
    if (continues(c)) continue;
    return announced_length(c) > back ? back : 0;
  }
  return 0;
}

RunCast::RunCast(sys::Fd fd, const Header& header) : fd_(std::move(fd)) {
  put(fmt::format("{{\"version\": 2, \"width\": {}, \"height\": {}, \"timestamp\": {}, \"title\": {}}}\n",
                  header.columns, header.rows, header.started, json_text(header.title)));
}

void RunCast::write(std::string_view bytes, double seconds) {
  if (!fd_) return;
  if (!pending_.empty() && (seconds - since_ > k_frame || pending_.size() >= k_most_pending)) flush(false);
  if (pending_.empty()) since_ = seconds;
  pending_ += bytes;
}

void RunCast::finish() {
  flush(true);
  fd_.reset();
}

void RunCast::flush(bool all) {
  if (!fd_) return;
  const std::size_t kept = all ? 0 : open_character(pending_);
  const std::string_view whole = std::string_view(pending_).substr(0, pending_.size() - kept);
  if (!whole.empty()) put(fmt::format("[{:.6f}, \"o\", {}]\n", since_, json_text(whole)));
  pending_.erase(0, pending_.size() - kept);
  if (bytes_ <= k_most_bytes) return;
  put(fmt::format("[{:.6f}, \"m\", \"the recording ends here: run.log has the rest\"]\n", since_));
  fd_.reset();
}

void RunCast::put(std::string_view text) {
  if (!sys::write_all(fd_.get(), text, "run.cast")) return fd_.reset();
  bytes_ += text.size();
}

}  // namespace orch::evidence
