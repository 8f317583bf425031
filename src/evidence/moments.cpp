#include "evidence/moments.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

namespace orch::evidence {

using TimePoint = std::chrono::system_clock::time_point;

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Takes what it reads off the front of a text; once something did not fit, it stays failed.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}
  int digits(std::size_t count) {
    int out = 0;
    if (rest_.size() < count ||
        !std::all_of(rest_.begin(), rest_.begin() + static_cast<long>(count), is_digit))
      failed_ = true;
    if (failed_) return 0;
    for (const char c : rest_.substr(0, count)) out = out * 10 + (c - '0');
    rest_.remove_prefix(count);
    return out;
  }
  bool take(char c) {
    if (failed_ || rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void demand(char c) { failed_ = !take(c) || failed_; }
  int fraction_ms() {
    int out = 0;
    int scale = 100;
    if (rest_.empty() || !is_digit(rest_.front())) failed_ = true;
    for (; !rest_.empty() && is_digit(rest_.front()); rest_.remove_prefix(1), scale /= 10)
      out += scale * (rest_.front() - '0');
    return out;
  }
  bool at_end() const { return rest_.empty(); }
  bool failed() const { return failed_; }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

enum class Zone { local, utc };

// nullopt where the calendar has no such moment.
std::optional<TimePoint> to_time(std::tm parts, Zone zone, int milliseconds) {
  parts.tm_isdst = -1;
  const std::tm wanted = parts;
  const std::time_t seconds = zone == Zone::utc ? ::timegm(&parts) : std::mktime(&parts);
  const bool same = parts.tm_year == wanted.tm_year && parts.tm_mon == wanted.tm_mon &&
                    parts.tm_mday == wanted.tm_mday && wanted.tm_hour < 24 && wanted.tm_min < 60 &&
                    wanted.tm_sec <= 60;
  if (!same) return std::nullopt;
  return std::chrono::system_clock::from_time_t(seconds) + std::chrono::milliseconds(milliseconds);
}

}  // namespace

std::optional<TimePoint> parse_moment(std::string_view text) {
  Reader in(text);
  std::tm parts{};
  int milliseconds = 0;
  Zone zone = Zone::local;
  parts.tm_year = in.digits(4) - 1900;
  in.demand('-');
  parts.tm_mon = in.digits(2) - 1;
  in.demand('-');
  parts.tm_mday = in.digits(2);
  if (in.take('T') || in.take(' ')) {
    parts.tm_hour = in.digits(2);
    in.demand(':');
    parts.tm_min = in.digits(2);
    if (in.take(':')) {
      parts.tm_sec = in.digits(2);
      if (in.take('.')) milliseconds = in.fraction_ms();
    }
    if (in.take('Z')) zone = Zone::utc;
  }
  if (in.failed() || !in.at_end()) return std::nullopt;
  return to_time(parts, zone, milliseconds);
}

std::optional<TimePoint> parse_stamp(std::string_view name) {
  constexpr std::size_t k_stamp = 15;
  Reader in(name.substr(0, k_stamp));
  std::tm parts{};
  parts.tm_year = in.digits(4) - 1900;
  parts.tm_mon = in.digits(2) - 1;
  parts.tm_mday = in.digits(2);
  in.demand('-');
  parts.tm_hour = in.digits(2);
  parts.tm_min = in.digits(2);
  parts.tm_sec = in.digits(2);
  const std::string_view rest = name.substr(std::min(name.size(), k_stamp));
  const bool numbered =
      rest.size() > 1 && rest[0] == '-' && std::all_of(rest.begin() + 1, rest.end(), is_digit);
  if (in.failed() || (!rest.empty() && !numbered)) return std::nullopt;
  return to_time(parts, Zone::local, 0);
}

std::string local_time(TimePoint when) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(when);
  std::tm parts{};
  ::localtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

}  // namespace orch::evidence
