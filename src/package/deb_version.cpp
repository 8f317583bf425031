#include "package/deb_version.hpp"

#include <algorithm>

namespace orch::package {

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// '~' before the end, the end before letters, letters before everything else.
int weight(std::string_view text) {
  if (text.empty() || is_digit(text[0])) return 0;
  const char c = text[0];
  if (c == '~') return -1;
  const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return letter ? static_cast<unsigned char>(c) : static_cast<unsigned char>(c) + 256;
}

std::string_view take_number(std::string_view& text) {
  std::size_t end = 0;
  while (end < text.size() && is_digit(text[end])) ++end;
  std::string_view number = text.substr(0, end);
  text.remove_prefix(end);
  number.remove_prefix(std::min(number.find_first_not_of('0'), number.size()));
  return number;
}

int compare_parts(std::string_view a, std::string_view b) {
  while (!a.empty() || !b.empty()) {
    while ((!a.empty() && !is_digit(a[0])) || (!b.empty() && !is_digit(b[0]))) {
      if (const int order = weight(a) - weight(b); order != 0) return order;
      if (!a.empty()) a.remove_prefix(1);
      if (!b.empty()) b.remove_prefix(1);
    }
    const std::string_view left = take_number(a);
    const std::string_view right = take_number(b);
    if (left.size() != right.size()) return left.size() < right.size() ? -1 : 1;
    if (const int order = left.compare(right); order != 0) return order;
  }
  return 0;
}

std::string_view take_epoch(std::string_view& text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return "0";
  const std::string_view epoch = text.substr(0, colon);
  text.remove_prefix(colon + 1);
  return epoch;
}

}  // namespace

int compare_deb_versions(std::string_view a, std::string_view b) {
  const std::string_view left_epoch = take_epoch(a);
  const std::string_view right_epoch = take_epoch(b);
  if (const int order = compare_parts(left_epoch, right_epoch); order != 0) return order;
  const std::size_t left = std::min(a.rfind('-'), a.size());
  const std::size_t right = std::min(b.rfind('-'), b.size());
  if (const int order = compare_parts(a.substr(0, left), b.substr(0, right)); order != 0) return order;
  return compare_parts(left < a.size() ? a.substr(left + 1) : std::string_view("0"),
                       right < b.size() ? b.substr(right + 1) : std::string_view("0"));
}

}  // namespace orch::package
