// redact_toml(): see redact.hpp. The parser knows where each string begins, so no spelling is guessed at.
#include "evidence/redact.hpp"
#include "format/toml.hpp"

#include <algorithm>
#include <map>
#include <vector>

namespace orch::evidence {

using base::Value;

namespace {

struct Replaced {
  std::size_t length;  // bytes in the text
  std::string by;
};
using Replacements = std::map<std::size_t, Replaced>;  // by the place in the text

std::vector<std::size_t> line_starts(std::string_view text) {
  std::vector<std::size_t> out = {0};
  for (std::size_t i = 0; i < text.size(); ++i)
    if (text[i] == '\n') out.push_back(i + 1);
  return out;
}

class Comparison {
 public:
  explicit Comparison(std::string_view text) : text_(text), starts_(line_starts(text)) {}

  // False where a change has no place in the text.
  bool collect(const Value& value, const Value& redacted) {
    if (value.is_string()) return value == redacted || replace(value.span, redacted);
    if (value.is_array()) {
      for (std::size_t i = 0; i < value.as_array().size(); ++i)
        if (!collect(value.as_array()[i], redacted.as_array()[i])) return false;
    } else if (value.is_object()) {
      for (std::size_t i = 0; i < value.as_object().size(); ++i)
        if (!collect(value.as_object()[i].value, redacted.as_object()[i].value)) return false;
    }
    return true;
  }
  Replacements take() { return std::move(replacements_); }

 private:
  bool replace(const base::SourceSpan& span, const Value& redacted) {
    if (span.line < 1 || static_cast<std::size_t>(span.line) > starts_.size() || span.column < 1)
      return false;
    const std::size_t begin =
        starts_[static_cast<std::size_t>(span.line) - 1] + static_cast<std::size_t>(span.column) - 1;
    if (begin >= text_.size() || (text_[begin] != '"' && text_[begin] != '\'') || !redacted.is_string())
      return false;
    const std::size_t end = format::toml_string_end(text_, begin);
    replacements_[begin] = {end - begin, format::toml_string(redacted.as_string())};
    return true;
  }

  std::string_view text_;
  std::vector<std::size_t> starts_;
  Replacements replacements_;
};

bool is_key_char(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

// A setting that was put out of use still has its value.
std::string redact_comment(std::string comment) {
  for (std::size_t sign = comment.find_first_of("=:"); sign != std::string::npos;
       sign = comment.find_first_of("=:", sign + 1)) {
    std::size_t end = sign;
    while (end > 0 && std::string_view(" \t\"'").find(comment[end - 1]) != std::string_view::npos) --end;
    std::size_t begin = end;
    while (begin > 0 && is_key_char(comment[begin - 1])) --begin;
    if (is_secret_name(std::string_view(comment).substr(begin, end - begin)))
      return comment.substr(0, sign + 1) + " " + k_redacted;
  }
  return redact_text(std::move(comment));
}

std::string put_in(std::string_view text, const Replacements& replacements) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    if (const auto found = replacements.find(at); found != replacements.end()) {
      out += found->second.by;
      at += found->second.length;
    } else if (text[at] == '"' || text[at] == '\'') {
      const std::size_t end = format::toml_string_end(text, at);
      out += text.substr(at, end - at);
      at = end;
    } else if (text[at] == '#') {
      const std::size_t end = std::min(text.find_first_of("\r\n", at), text.size());
      out += redact_comment(std::string(text.substr(at, end - at)));
      at = end;
    } else {
      out += text[at++];
    }
  }
  return out;
}

}  // namespace

std::string redact_toml(const std::string& text) {
  const format::Result<Value> meaning = format::parse_toml_text("profile", text);
  if (!meaning) return k_redacted;
  const Value redacted = redact(*meaning);
  Comparison comparison(text);
  if (!comparison.collect(*meaning, redacted)) return k_redacted;
  std::string out = put_in(text, comparison.take());
  const format::Result<Value> again = format::parse_toml_text("profile", out);
  return again && again->canonical() == redacted.canonical() ? out : k_redacted;
}

}  // namespace orch::evidence
