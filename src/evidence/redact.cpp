#include "evidence/redact.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace orch::evidence {

using base::Value;

namespace {

constexpr std::array<std::string_view, 7> k_anywhere = {"TOKEN",      "SECRET",     "PASSWORD", "PASSWD",
                                                        "PASSPHRASE", "CREDENTIAL", "COOKIE"};
constexpr std::array<std::string_view, 3> k_parts = {"AUTH", "PASS", "AUTHORIZATION"};
constexpr std::array<std::string_view, 2> k_endings = {"KEY", "KEYS"};

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_name_char(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || is_lower(c);
}
bool has_lower(std::string_view text) {
  return std::any_of(text.begin(), text.end(), is_lower);
}

bool ends_with(std::string_view text, std::string_view ending) {
  return text.size() >= ending.size() && text.substr(text.size() - ending.size()) == ending;
}

bool is_secret_part(std::string_view part) {
  return std::find(k_parts.begin(), k_parts.end(), part) != k_parts.end() ||
         std::any_of(k_endings.begin(), k_endings.end(),
                     [part](auto ending) { return ends_with(part, ending); });
}

// "--name" without its value; empty for what is no long option.
std::string_view option_name(std::string_view word) {
  if (word.substr(0, 2) != "--" || word.size() < 3) return {};
  return word.substr(2,
                     word.find('=') == std::string_view::npos ? std::string_view::npos : word.find('=') - 2);
}

// A whole text of the form NAME=VALUE or --name=VALUE; returns where VALUE begins, or 0.
std::size_t assignment(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) return 0;
  const std::string_view option = option_name(text);
  const std::string_view name = option.empty() ? text.substr(0, equals) : option;
  const bool plain =
      std::all_of(name.begin(), name.end(), [](char c) { return is_name_char(c) || c == '-'; });
  return plain && is_secret_name(name) ? equals + 1 : 0;
}

bool is_quote(char c) {
  return c == '"' || c == '\'';
}

// Behind the quote that ends what `quote` began before `begin`; in double quotes a backslash takes its meaning from it.
std::size_t quoted_end(std::string_view text, std::size_t begin, std::string_view quote) {
  for (std::size_t at = begin; at < text.size(); ++at) {
    if (text[at] == '\\' && quote[0] == '"')
      ++at;
    else if (text.substr(at).starts_with(quote))
      return at + quote.size();
  }
  return text.size();
}

// Where the quote is that ends what `quote` began before `begin`; the end of the text without one.
std::size_t closing_quote(std::string_view text, std::size_t begin, char quote) {
  const std::size_t end = quoted_end(text, begin, std::string_view(&quote, 1));
  return end > begin && text[end - 1] == quote ? end - 1 : end;
}

// The quote at `at`, tripled or not; empty where there is none.
std::string_view quote_at(std::string_view text, std::size_t at) {
  if (at >= text.size() || !is_quote(text[at])) return {};
  const bool tripled = text.size() >= at + 3 && text[at + 1] == text[at] && text[at + 2] == text[at];
  return text.substr(at, tripled ? 3 : 1);
}

std::size_t word_end(std::string_view text, std::size_t begin) {
  return std::min(text.find_first_of(" \t\r\n,;}]\"'", begin), text.size());
}

// NAME = VALUE inside of a longer text; NAME may be in quotes.
void redact_assignments(std::string& text) {
  for (std::size_t equals = text.find('='); equals != std::string::npos;
       equals = text.find('=', equals + 1)) {
    std::size_t end = text.find_last_not_of(" \t", equals == 0 ? 0 : equals - 1);
    if (equals == 0 || end == std::string::npos) continue;
    if (end > 0 && is_quote(text[end])) --end;
    std::size_t begin = end + 1;
    while (begin > 0 && is_name_char(text[begin - 1])) --begin;
    const std::string_view name = std::string_view(text).substr(begin, end + 1 - begin);
    const std::size_t value = text.find_first_not_of(" \t", equals + 1);
    if (name.empty() || has_lower(name) || !is_secret_name(name) || value == std::string::npos) continue;
    const std::string quote(quote_at(text, value));
    if (std::string_view(text).substr(value + quote.size()).starts_with(k_redacted)) continue;
    const std::size_t last =
        quote.empty() ? word_end(text, value) : quoted_end(text, value + quote.size(), quote);
    text.replace(value, last - value, quote + k_redacted + quote);
  }
}

// Where the value of an option ends: one whose quotes begin with it or with the option has blanks and commas, too.
std::size_t option_end(std::string_view text, std::size_t option, std::size_t value) {
  for (const std::size_t at : {value, option})
    if (at > 0 && is_quote(text[at - 1]) && (at == value || text.substr(at, value - at).ends_with('=')))
      return closing_quote(text, value, text[at - 1]);
  return word_end(text, value);
}

// --name=VALUE, --name VALUE and "--name", "VALUE" inside of a longer text.
void redact_options(std::string& text) {
  for (std::size_t at = text.find("--"); at != std::string::npos; at = text.find("--", at + 2)) {
    std::size_t end = at + 2;
    while (end < text.size() && (is_name_char(text[end]) || text[end] == '-')) ++end;
    const std::size_t value = text.find_first_not_of(" \t\"',=", end);
    if (!is_secret_name(std::string_view(text).substr(at + 2, end - at - 2)) || value == end) continue;
    if (value == std::string::npos || text[value] == '-' || text[value] == '\n' || text[value] == ']')
      continue;
    if (std::string_view(text).substr(value).starts_with(k_redacted)) continue;
    text.replace(value, option_end(text, at, value) - value, k_redacted);
  }
}

// "scheme://user:password@host"
void redact_urls(std::string& text) {
  for (std::size_t at = text.find("://"); at != std::string::npos; at = text.find("://", at + 3)) {
    const std::size_t begin = at + 3;
    const std::size_t end = std::min(text.find_first_of("/ \t\r\n\"'", begin), text.size());
    const std::size_t host = text.rfind('@', end);
    if (host == std::string::npos || host < begin || host >= end) continue;
    if (text.substr(begin, host - begin).find(':') == std::string::npos) continue;
    text.replace(begin, host - begin, k_redacted);
  }
}

Value redact_array(const Value& value) {
  Value out = Value::array();
  bool secret_follows = false;
  for (const Value& item : value.as_array()) {
    if (secret_follows && item.is_string() && item.as_string().substr(0, 1) != "-")
      out.push(k_redacted);
    else
      out.push(redact(item));
    secret_follows = item.is_string() && item.as_string().find('=') == std::string::npos &&
                     is_secret_name(option_name(item.as_string()));
  }
  return out;
}

Value redact_object(const Value& value, bool environment) {
  Value out = Value::object();
  for (const Value::Member& member : value.as_object()) {
    const bool variable = environment || !has_lower(member.key);
    const bool inner = member.key == "env" || member.key == "environment";
    if (variable && member.value.is_string() && is_secret_name(member.key))
      out.set(member.key, k_redacted);
    else
      out.set(member.key,
              member.value.is_object() ? redact_object(member.value, inner) : redact(member.value));
  }
  return out;
}

}  // namespace

bool is_secret_name(std::string_view name) {
  std::string upper(name);
  for (char& c : upper) c = c == '-' ? '_' : is_lower(c) ? static_cast<char>(c - 'a' + 'A') : c;
  for (const std::string_view word : k_anywhere)
    if (upper.find(word) != std::string::npos) return true;
  std::size_t begin = 0;
  while (begin <= upper.size()) {
    const std::size_t end = std::min(upper.find('_', begin), upper.size());
    if (is_secret_part(std::string_view(upper).substr(begin, end - begin))) return true;
    begin = end + 1;
  }
  return false;
}

std::string redact_text(std::string text) {
  if (const std::size_t value = assignment(text); value != 0) return text.substr(0, value) + k_redacted;
  redact_assignments(text);
  redact_options(text);
  redact_urls(text);
  return text;
}

Value redact(const Value& value) {
  if (value.is_string()) return redact_text(value.as_string());
  if (value.is_array()) return redact_array(value);
  if (value.is_object()) return redact_object(value, false);
  return value;
}

}  // namespace orch::evidence
