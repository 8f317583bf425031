// Writes ninja files: the one place that owns escaping and line wrapping.
// Format: https://ninja-build.org/manual.html#_lexical_syntax
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace orch::ninja {

// A path in a build line: '$', ' ' and ':' escaped. A path with a newline cannot be written (see can_write).
std::string escape_path(std::string_view path);
// A variable's value: '$' escaped, a leading space too.
std::string escape_value(std::string_view value);
// Ninja files are made of lines, so a path with a line break has no form in them.
bool can_write(std::string_view path);

class Writer {
 public:
  void comment(std::string_view text);
  void blank();
  // `value` is taken as it is: escape it first where it is not meant to expand.
  void variable(std::string_view name, std::string_view value, int indent = 0);
  void pool(std::string_view name, int depth);
  void rule(std::string_view name, const std::vector<std::pair<std::string, std::string>>& variables);
  // Paths are escaped by the caller, since they may begin with a variable ("$root/…").
  void build(std::string_view output, std::string_view rule, const std::vector<std::string>& inputs,
             const std::vector<std::string>& implicit,
             const std::vector<std::pair<std::string, std::string>>& variables = {});
  void default_target(std::string_view path);
  const std::string& text() const { return text_; }

 private:
  // A line, broken with "$\n" before it gets longer than a screen.
  void line(std::string_view text, int indent);
  std::string text_;
};

}  // namespace orch::ninja
