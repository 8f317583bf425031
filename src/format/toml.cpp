#include "format/toml.hpp"

#include "base/text.hpp"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <utility>

namespace orch::format {

namespace {

using base::SourceFile;
using base::SourceSpan;

constexpr std::string_view k_bom = "\xEF\xBB\xBF";

// Turns positions of toml++ (lines, columns in code points) into spans (columns in bytes) and back into text.
class Places {
 public:
  explicit Places(std::shared_ptr<const SourceFile> file) : file_(std::move(file)) {
    const std::string_view text = file_->text;
    starts_.push_back(text.starts_with(k_bom) ? k_bom.size() : 0);
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\n') starts_.push_back(i + 1);
      if (static_cast<unsigned char>(text[i]) >= 0x80) ascii_ = false;
    }
  }

  SourceSpan span(const toml::source_region& region) const {
    const std::size_t from = offset(region.begin);
    const std::size_t line = std::min<std::size_t>(region.begin.line, starts_.size());
    std::size_t to = from + 1;
    if (region.end.line == region.begin.line) to = std::max(offset(region.end), to);
    return at(line, from, to - from);
  }

  // `offset` lies in `line`, which counts from 1.
  SourceSpan at(std::size_t line, std::size_t offset, std::size_t length) const {
    const std::size_t line_start = line == 1 ? 0 : starts_[line - 1];
    return SourceSpan{file_, static_cast<int>(line), static_cast<int>(offset - line_start + 1),
                      static_cast<int>(std::max<std::size_t>(length, 1))};
  }

  std::size_t offset(const toml::source_position& position) const {
    if (position.line == 0) return 0;
    if (position.line > starts_.size()) return file_->text.size();
    std::size_t at = starts_[position.line - 1];
    const std::size_t points = position.column > 0 ? position.column - 1 : 0;
    const std::string_view text = file_->text;
    if (ascii_) return std::min(at + points, text.size());
    for (std::size_t i = 0; i < points && at < text.size(); ++i) {
      ++at;
      while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
    }
    return at;
  }

  std::string_view text_of(const toml::source_region& region) const {
    const std::size_t from = offset(region.begin);
    return std::string_view(file_->text).substr(from, offset(region.end) - from);
  }

  // Line `number` (from 1) without its end.
  std::string_view line(std::size_t number) const {
    const std::size_t from = starts_[number - 1];
    const std::size_t to = number < starts_.size() ? starts_[number] - 1 : file_->text.size();
    std::string_view text = std::string_view(file_->text).substr(from, to - from);
    if (text.ends_with('\r')) text.remove_suffix(1);
    return text;
  }
  std::size_t lines() const { return starts_.size(); }
  std::size_t line_start(std::size_t number) const { return starts_[number - 1]; }

 private:
  std::shared_ptr<const SourceFile> file_;
  std::vector<std::size_t> starts_;  // offset of each line
  bool ascii_ = true;                // then a column in code points is a column in bytes
};

Value convert(const toml::node& node, const Places& places);

Value convert_table(const toml::table& table, const Places& places) {
  Value::Object members;
  members.reserve(table.size());
  for (const auto& [key, node] : table)
    members.push_back({std::string(key.str()), convert(node, places), places.span(key.source())});
  std::sort(members.begin(), members.end(), [](const Value::Member& a, const Value::Member& b) {
    return std::pair(a.key_span.line, a.key_span.column) < std::pair(b.key_span.line, b.key_span.column);
  });
  return Value(std::move(members));
}

Value convert(const toml::node& node, const Places& places) {
  Value value;
  if (const toml::table* table = node.as_table()) {
    value = convert_table(*table, places);
  } else if (const toml::array* array = node.as_array()) {
    Value::Array items;
    items.reserve(array->size());
    for (const toml::node& item : *array) items.push_back(convert(item, places));
    value = Value(std::move(items));
  } else if (const auto* text = node.as_string()) {
    value = Value(text->get());
  } else if (const auto* integer = node.as_integer()) {
    value = Value(std::int64_t{integer->get()});
  } else if (const auto* number = node.as_floating_point()) {
    value = Value(number->get());
  } else if (const auto* flag = node.as_boolean()) {
    value = Value(flag->get());
  } else {
    value = Value(places.text_of(node.source()));  // dates and times, as they were written
  }
  value.span = places.span(node.source());
  return value;
}

// ---- syntax errors: the words of toml++ are turned into what a user of a profile needs ----

constexpr std::string_view k_value_wanted =
    "expected a value: \"text\" in quotes, a number, true, false, [a list] or {a table}";

struct Wording {
  std::string_view found;  // part of the description of toml++
  std::string_view say;
  std::string_view hint;
};

constexpr std::array<Wording, 11> k_wordings{{
    {"could not determine value type", k_value_wanted, "put text in double quotes"},
    {"boolean: expected '", k_value_wanted, "put text in double quotes"},
    {"expected value, saw '\\n'", "expected a value after '='", ""},
    {"string: unescaped control char", "this text has no closing quote on its line", "end it with \""},
    {"literal string: control char", "this text has no closing quote on its line", "end it with '"},
    {"expected a comment or whitespace", "expected the end of the line", "one key or table header to a line"},
    {"expected keys, tables", "expected a key or a [table header]",
     "names other than a-z A-Z 0-9 _ - need quotes"},
    {"dangling comma", "expected a key after ',', found '}'", "remove the comma before '}'"},
    {"inline table: expected key or closing '}', saw '\\n'", "an inline table {…} has to end on its line",
     "close it with '}', or write it as a [table]"},
    {"leading zeroes", "a number must not begin with 0", "write permissions and the like as text, in quotes"},
    {"invalid utf-8", "this file is not valid UTF-8", "save it as UTF-8"},
}};

// "Error while parsing X: expected A, saw B" becomes "expected A, found B".
std::string reworded(std::string_view description) {
  constexpr std::string_view k_prefix = "Error while parsing ";
  std::string_view inside;
  if (description.starts_with(k_prefix)) {
    description.remove_prefix(k_prefix.size());
    const std::size_t colon = description.find(": ");
    inside = description.substr(0, colon);
    if (colon != std::string_view::npos) description.remove_prefix(colon + 2);
  }
  if (description == "encountered end-of-file") return fmt::format("this {} is not complete", inside);
  std::string text(description);
  for (const auto& [from, to] :
       {std::pair<std::string_view, std::string_view>{", saw '\\n'", ", found the end of the line"},
        {", saw ", ", found "},
        {"expected expected", "expected"}}) {
    const std::size_t at = text.find(from);
    if (at != std::string::npos) text.replace(at, from.size(), to);
  }
  return text;
}

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

std::size_t indent(std::string_view line) {
  return static_cast<std::size_t>(std::find_if_not(line.begin(), line.end(), is_blank) - line.begin());
}

// True if `line`, without its indent, opens with what defines `name`: "[name]" or "name =".
bool defines(std::string_view line, std::string_view name, bool header) {
  if (header) {
    const std::size_t open = line.starts_with("[[") ? 2 : 1;
    return line.starts_with('[') && line.substr(open).starts_with(name) &&
           line.substr(open + name.size()).starts_with(']');
  }
  if (!line.starts_with(name)) return false;
  line.remove_prefix(name.size());
  line.remove_prefix(indent(line));
  return line.starts_with('=');
}

// "cannot redefine existing TYPE 'NAME'": points at both places, the first one where a look at the text finds
// it.
base::Error duplicate_error(std::string_view description, std::size_t line, const Places& places) {
  const std::size_t open = description.find('\'');
  const std::size_t close = description.find('\'', open + 1);
  const std::string_view name = description.substr(open + 1, close - open - 1);
  const bool header = description.find("table header") != std::string_view::npos;
  const std::string_view text = places.line(line);
  const std::size_t skipped = indent(text);
  base::Error error(base::ErrorKind::profile,
                    fmt::format("'{}' is defined a second time", base::printable(name)), "keep one of them");
  error.where = places.at(line, places.line_start(line) + skipped, header ? name.size() + 2 : name.size());
  for (std::size_t other = line; other-- > 1;) {
    const std::string_view earlier = places.line(other);
    const std::size_t blanks = indent(earlier);
    if (defines(earlier.substr(blanks), name, header)) {
      error.related.emplace_back("first defined here",
                                 places.at(other, places.line_start(other) + blanks, name.size()));
      break;
    }
    if (!header && earlier.substr(blanks).starts_with('[')) break;
  }
  return error;
}

base::Error syntax_error(const toml::parse_error& problem, const Places& places) {
  const std::string_view description = problem.description();
  const std::size_t line = std::clamp<std::size_t>(problem.source().begin.line, 1, places.lines());
  if (description.find("cannot redefine existing") != std::string_view::npos)
    return duplicate_error(description, line, places);
  base::Error error(base::ErrorKind::profile, reworded(description));
  std::size_t at = problem.source().begin.line > places.lines()
                       ? places.line_start(line) + places.line(line).size()
                       : places.offset(problem.source().begin);
  for (const Wording& wording : k_wordings) {
    if (description.find(wording.found) == std::string_view::npos) continue;
    error.what = wording.say;
    error.hint = wording.hint;
    if (wording.say == k_value_wanted) {  // toml++ may point into the word
      const std::string_view text = places.line(line);
      std::size_t column = std::min(at - places.line_start(line), text.size());
      while (column > 0 && std::string_view(" \t=,[{").find(text[column - 1]) == std::string_view::npos)
        --column;
      at = places.line_start(line) + column;
    }
    break;
  }
  error.where = places.at(line, std::max(at, places.line_start(line)), 1);
  return error;
}

}  // namespace

Result<Value> parse_toml(std::shared_ptr<const base::SourceFile> file) {
  const Places places(file);
  try {
    const toml::table table = toml::parse(std::string_view(file->text), std::string_view(file->path));
    Value value = convert_table(table, places);
    value.span = SourceSpan{std::move(file), 0, 0, 1};
    return value;
  } catch (const toml::parse_error& problem) {
    return base::fail(syntax_error(problem, places));
  }
}

Result<Value> parse_toml_text(std::string path, std::string text) {
  return parse_toml(std::make_shared<const SourceFile>(SourceFile{std::move(path), std::move(text)}));
}

std::size_t toml_string_end(std::string_view text, std::size_t begin) {
  constexpr std::size_t k_tripled = 3;
  const char quote = begin < text.size() ? text[begin] : '\0';
  const std::string three(k_tripled, quote);
  const bool several_lines = text.substr(begin).starts_with(three);
  for (std::size_t at = begin + (several_lines ? k_tripled : 1); at < text.size(); ++at) {
    if (text[at] == '\\' && quote == '"') {
      ++at;
    } else if (!several_lines && text[at] == quote) {
      return at + 1;
    } else if (several_lines && text.substr(at).starts_with(three)) {
      at += k_tripled;  // up to two more quotes belong to the string
      for (int more = 0; more < 2 && at < text.size() && text[at] == quote; ++more) ++at;
      return at;
    }
  }
  return text.size();
}

std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      out += {'\\', c};
    else if (c == '\n')
      out += "\\n";
    else if (c == '\t')
      out += "\\t";
    else if (byte < 0x20 || byte == 0x7F)
      out += fmt::format("\\u{:04X}", byte);
    else
      out += c;
  }
  return out + '"';
}

}  // namespace orch::format
