#include "ninja/writer.hpp"

#include <fmt/format.h>

namespace orch::ninja {

namespace {

constexpr std::size_t k_width = 110;

}  // namespace

std::string escape_path(std::string_view path) {
  std::string out;
  for (const char c : path) {
    if (c == '$' || c == ' ' || c == ':') out += '$';
    out += c;
  }
  return out;
}

std::string escape_value(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == '$' || (c == ' ' && out.empty())) out += '$';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

bool can_write(std::string_view path) {
  return path.find_first_of("\n\r|") == std::string_view::npos;
}

void Writer::comment(std::string_view text) {
  text_ += fmt::format("# {}\n", text);
}
void Writer::blank() {
  text_ += '\n';
}

void Writer::variable(std::string_view name, std::string_view value, int indent) {
  text_ += fmt::format("{}{} = {}\n", std::string(static_cast<std::size_t>(indent) * 2, ' '), name, value);
}

void Writer::pool(std::string_view name, int depth) {
  text_ += fmt::format("pool {}\n", name);
  variable("depth", std::to_string(depth), 1);
}

void Writer::rule(std::string_view name, const std::vector<std::pair<std::string, std::string>>& variables) {
  text_ += fmt::format("rule {}\n", name);
  for (const auto& [key, value] : variables) variable(key, value, 1);
}

void Writer::build(std::string_view output, std::string_view rule, const std::vector<std::string>& inputs,
                   const std::vector<std::string>& implicit,
                   const std::vector<std::pair<std::string, std::string>>& variables) {
  std::string text = fmt::format("build {}: {}", output, rule);
  for (const std::string& input : inputs) text += " " + input;
  if (!implicit.empty()) text += " |";
  for (const std::string& input : implicit) text += " " + input;
  line(text, 0);
  for (const auto& [key, value] : variables) variable(key, value, 1);
}

void Writer::default_target(std::string_view path) {
  text_ += fmt::format("default {}\n", path);
}

void Writer::line(std::string_view text, int indent) {
  while (text.size() > k_width) {
    // The last space that is not escaped ("$ ") and fits; if there is none, the first one after.
    std::size_t at = text.rfind(' ', k_width);
    while (at != std::string_view::npos && at > 0 && text[at - 1] == '$')
      at = at >= 2 ? text.rfind(' ', at - 1) : std::string_view::npos;
    if (at == std::string_view::npos || at == 0) {
      at = text.find(' ', k_width);
      while (at != std::string_view::npos && text[at - 1] == '$') at = text.find(' ', at + 1);
    }
    if (at == std::string_view::npos) break;
    text_ += std::string(static_cast<std::size_t>(indent) * 2, ' ');
    text_ += text.substr(0, at);
    text_ += " $\n";
    text.remove_prefix(at + 1);
    indent = 2;
  }
  text_ += std::string(static_cast<std::size_t>(indent) * 2, ' ');
  text_ += text;
  text_ += '\n';
}

}  // namespace orch::ninja
