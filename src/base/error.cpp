#include "base/error.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

namespace orch::base {

std::string SourceSpan::location() const {
  if (!file) return {};
  if (line == 0) return printable(file->path);
  return fmt::format("{}:{}:{}", printable(file->path), line, column);
}

std::string_view SourceSpan::line_text() const {
  if (!file || line <= 0) return {};
  std::string_view rest = file->text;
  for (int i = 1; i < line; ++i) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) return {};
    rest.remove_prefix(end + 1);
  }
  std::string_view text = rest.substr(0, rest.find('\n'));
  if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
  return text;
}

Error errno_error(int number, std::string_view action, std::string_view name) {
  ErrorKind kind = ErrorKind::io;
  std::string hint;
  if (number == ENOENT || number == ENOTDIR) kind = ErrorKind::not_found;
  if (number == EACCES || number == EPERM || number == EROFS) kind = ErrorKind::permission;
  if (number == ENOSPC || number == EDQUOT) {
    kind = ErrorKind::no_space;
    hint = "free space there, or choose another place with --cache-dir";
  }
  return Error(kind, fmt::format("cannot {} '{}': {}", action, printable(name), std::strerror(number)), hint);
}

std::string one_line(const Error& error) {
  std::string out = error.what;
  for (const std::string& outer : error.context) out = outer + ": " + out;
  return out;
}

namespace {

// A long line is cut around the mark, so that the caret stays in sight.
constexpr std::size_t k_line_width = 120;

void quote_line(std::string& out, const SourceSpan& span) {
  std::string_view text = span.line_text();
  if (text.empty() || span.column <= 0) return;
  std::size_t column = static_cast<std::size_t>(span.column - 1);
  if (column > text.size()) column = text.size();
  std::size_t from = 0;
  if (text.size() > k_line_width && column > k_line_width / 2) from = column - k_line_width / 2;
  const std::string_view shown = text.substr(from, k_line_width);
  const std::string number = std::to_string(span.line);
  std::string pad;
  for (const char c : text.substr(from, column - from)) {
    if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) pad += c == '\t' ? '\t' : ' ';
  }
  std::size_t length = span.length > 0 ? static_cast<std::size_t>(span.length) : 1;
  const std::size_t room = shown.size() > column - from ? shown.size() - (column - from) : 1;
  if (length > room) length = room;
  std::string safe;
  for (const char c : shown) safe += c == '\t' || static_cast<unsigned char>(c) >= 0x20 ? c : '?';
  out += fmt::format(" {} | {}\n {} | {}^{}\n", number, safe, std::string(number.size(), ' '), pad,
                     std::string(length > 0 ? length - 1 : 0, '~'));
}

}  // namespace

std::string render(const Error& error, std::string_view bold, std::string_view reset) {
  std::string out;
  if (error.where && error.where->file) out += error.where->location() + ": ";
  out += fmt::format("{}error:{} {}\n", bold, reset, error.what);
  if (error.where) quote_line(out, *error.where);
  for (const auto& [note, span] : error.related) {
    out += fmt::format("{}: note: {}\n", span.location(), note);
    quote_line(out, span);
  }
  for (const std::string& outer : error.context) out += fmt::format("  while {}\n", outer);
  if (!error.hint.empty()) out += fmt::format("  hint: {}\n", error.hint);
  return out;
}

}  // namespace orch::base
