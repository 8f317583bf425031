#include "cli/fields.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <utility>

namespace orch::cli {

using base::printable;

namespace {

constexpr std::size_t k_width = 80;
constexpr std::size_t k_indent = 14;

}  // namespace

void wrapped(std::string& out, std::string start, std::string_view words) {
  const std::size_t indent = start.size();
  std::string line = std::move(start);
  std::size_t column = indent;
  bool first = true;
  for (const std::string_view word : base::split(words, ' ')) {
    if (!first && column + 1 + word.size() > k_width) {
      out += line + "\n";
      line = std::string(indent, ' ');
      column = indent;
      first = true;
    }
    if (!first) line += ' ';
    column += word.size() + (first ? 0 : 1);
    line += word;
    first = false;
  }
  out += line + "\n";
}

void named(std::string& out, const std::string& start, const std::string& name, std::size_t width,
           const std::string& words) {
  const std::string shown = printable(name);
  if (shown.size() <= width)
    return wrapped(out, fmt::format("{}{:<{}}  ", start, shown, width), printable(words));
  wrapped(out, start, shown);
  wrapped(out, std::string(start.size() + 2, ' '), printable(words));
}

void field(std::string& out, std::string_view label, std::string_view words) {
  wrapped(out, fmt::format("  {:<{}} ", label, k_indent - 3), words);
}

}  // namespace orch::cli
