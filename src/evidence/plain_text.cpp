#include "evidence/plain_text.hpp"

namespace orch::evidence {

namespace {

constexpr char k_escape = 0x1B;
constexpr char k_bell = 0x07;
constexpr char k_cancel = 0x18;
constexpr char k_delete = 0x7F;

bool is_control(char c) {
  return static_cast<unsigned char>(c) < ' ' || c == k_delete;
}

}  // namespace

std::string PlainText::add(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (const char c : bytes) step(c, out);
  return out;
}

std::string PlainText::finish() {
  const bool open = carriage_return_;
  carriage_return_ = false;
  return open ? "\n" : "";
}

void PlainText::text(char c, std::string& out) {
  if (c == '\r') {
    carriage_return_ = true;
    return;
  }
  if (carriage_return_) out += '\n';
  const bool was_line_end = carriage_return_ && c == '\n';
  carriage_return_ = false;
  if (!was_line_end && (!is_control(c) || c == '\n' || c == '\t')) out += c;
}

void PlainText::step(char c, std::string& out) {
  if (c == k_cancel) {
    state_ = State::text;
    return;
  }
  switch (state_) {
    case State::text:
      if (c == k_escape)
        state_ = State::escape;
      else
        text(c, out);
      return;
    case State::escape:
      if (c == '[')
        state_ = State::csi;
      else if (c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_')
        state_ = State::string;
      else if (c >= ' ' && c <= '/')
        state_ = State::intermediate;
      else
        state_ = c == k_escape ? State::escape : State::text;
      return;
    case State::csi:
      if (c >= '@' && c <= '~') state_ = State::text;
      if (c == k_escape) state_ = State::escape;
      return;
    case State::intermediate:
      if (c >= '0' && c <= '~') state_ = State::text;
      return;
    case State::string:
      if (c == k_bell) state_ = State::text;
      if (c == k_escape) state_ = State::string_escape;
      return;
    case State::string_escape:
      if (c == '\\') {
        state_ = State::text;
        return;
      }
      state_ = State::escape;  // the string was never ended: a terminal takes this as the next sequence
      step(c, out);
      return;
  }
}

}  // namespace orch::evidence
