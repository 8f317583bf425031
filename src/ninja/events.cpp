#include "ninja/events.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <charconv>

namespace orch::ninja {

namespace {

constexpr std::size_t k_message_limit = 2400;  // with the hint and the rest, below PIPE_BUF (4096)
constexpr std::size_t k_hint_limit = 1000;

std::string one_field(const std::string& text, std::size_t limit) {
  std::string out = text.substr(0, limit);
  for (char& c : out)
    if (c == '\n' || c == '\t') c = ' ';
  return out;
}

}  // namespace

std::string event_line(const Event& event) {
  if (event.kind == Event::Kind::started) return fmt::format("S\t{}\n", event.step);
  return fmt::format("F\t{}\t{}\t{:.6f}\t{}\t{}\n", event.step, event.result, event.seconds,
                     one_field(event.message, k_message_limit), one_field(event.hint, k_hint_limit));
}

bool parse_event(const std::string& line, Event& event) {
  const std::vector<std::string_view> fields = base::split(line, '\t');
  if (fields.size() == 2 && fields[0] == "S") {
    event = {Event::Kind::started, std::string(fields[1]), {}, 0, {}, {}};
    return true;
  }
  if (fields.size() != 6 || fields[0] != "F") return false;
  event = {Event::Kind::finished,  std::string(fields[1]), std::string(fields[2]), 0,
           std::string(fields[4]), std::string(fields[5])};
  std::from_chars(fields[3].data(), fields[3].data() + fields[3].size(), event.seconds);
  return true;
}

}  // namespace orch::ninja
