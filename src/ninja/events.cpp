#include "ninja/events.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <charconv>

namespace orch::ninja {

namespace {

constexpr std::size_t k_message_limit = 2000;  // with the rest, well below PIPE_BUF (4096)

}  // namespace

std::string event_line(const Event& event) {
  if (event.kind == Event::Kind::started) return fmt::format("S\t{}\n", event.step);
  std::string message = event.message.substr(0, k_message_limit);
  for (char& c : message)
    if (c == '\n' || c == '\t') c = ' ';
  return fmt::format("F\t{}\t{}\t{:.6f}\t{}\n", event.step, event.result, event.seconds, message);
}

bool parse_event(const std::string& line, Event& event) {
  const std::vector<std::string_view> fields = base::split(line, '\t');
  if (fields.size() == 2 && fields[0] == "S") {
    event = {Event::Kind::started, std::string(fields[1]), {}, 0, {}};
    return true;
  }
  if (fields.size() != 5 || fields[0] != "F") return false;
  event = {Event::Kind::finished, std::string(fields[1]), std::string(fields[2]), 0, std::string(fields[4])};
  std::from_chars(fields[3].data(), fields[3].data() + fields[3].size(), event.seconds);
  return true;
}

}  // namespace orch::ninja
