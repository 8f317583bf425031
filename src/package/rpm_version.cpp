#include "package/rpm_version.hpp"

#include <algorithm>

namespace orch::package {

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::string_view take(std::string_view& text, bool (*is_wanted)(char)) {
  const auto end = std::find_if_not(text.begin(), text.end(), is_wanted);
  const std::string_view part = text.substr(0, static_cast<std::size_t>(end - text.begin()));
  text.remove_prefix(part.size());
  return part;
}

void skip_separators(std::string_view& text) {
  while (!text.empty() && !is_digit(text[0]) && !is_letter(text[0]) && text[0] != '~' && text[0] != '^')
    text.remove_prefix(1);
}

int compare_numbers(std::string_view a, std::string_view b) {
  a.remove_prefix(std::min(a.find_first_not_of('0'), a.size()));
  b.remove_prefix(std::min(b.find_first_not_of('0'), b.size()));
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  return a.compare(b);
}

// One part: an epoch, a version or a release.
int compare_parts(std::string_view a, std::string_view b) {
  for (;;) {
    skip_separators(a);
    skip_separators(b);
    const char left = a.empty() ? '\0' : a[0];
    const char right = b.empty() ? '\0' : b[0];
    if (left == '~' || right == '~') {
      if (left != right) return left == '~' ? -1 : 1;
      a.remove_prefix(1);
      b.remove_prefix(1);
      continue;
    }
    if (left == '^' || right == '^') {
      if (left == right) {
        a.remove_prefix(1);
        b.remove_prefix(1);
        continue;
      }
      if (left == '^') return right == '\0' ? 1 : -1;
      return left == '\0' ? -1 : 1;
    }
    if (a.empty() || b.empty()) return a.empty() ? (b.empty() ? 0 : -1) : 1;
    if (is_digit(left) != is_digit(right)) return is_digit(left) ? 1 : -1;
    const int order = is_digit(left) ? compare_numbers(take(a, is_digit), take(b, is_digit))
                                     : take(a, is_letter).compare(take(b, is_letter));
    if (order != 0) return order;
  }
}

struct Parts {
  std::string_view epoch = "0";
  std::string_view version;
  std::string_view release;
};

Parts split_version(std::string_view text) {
  Parts parts;
  if (const std::size_t colon = text.find(':'); colon != std::string_view::npos) {
    parts.epoch = text.substr(0, colon);
    text.remove_prefix(colon + 1);
  }
  const std::size_t dash = std::min(text.rfind('-'), text.size());
  parts.version = text.substr(0, dash);
  if (dash < text.size()) parts.release = text.substr(dash + 1);
  return parts;
}

}  // namespace

int compare_rpm_versions(std::string_view a, std::string_view b) {
  const Parts left = split_version(a);
  const Parts right = split_version(b);
  if (const int order = compare_parts(left.epoch, right.epoch); order != 0) return order;
  if (const int order = compare_parts(left.version, right.version); order != 0) return order;
  return compare_parts(left.release, right.release);
}

}  // namespace orch::package
