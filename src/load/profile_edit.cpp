#include "load/profile_edit.hpp"

#include "base/text.hpp"
#include "base/value.hpp"
#include "format/toml.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

namespace orch::load {

using base::ErrorKind;
using base::fail;
using base::printable;
using base::Value;

namespace {

std::string dotted(const Setting& setting, std::size_t from, std::size_t to) {
  std::string out;
  for (std::size_t i = from; i < to; ++i) out += (i == from ? "" : ".") + setting[i];
  return out;
}

Value with_member(const Value& document, const Setting& setting, std::size_t at, std::string_view value) {
  Value out = document.is_object() ? document : Value::object();
  const Value* inner = out.find(setting[at]);
  out.set(setting[at], at + 1 == setting.size()
                           ? Value(value)
                           : with_member(inner != nullptr ? *inner : Value(), setting, at + 1, value));
  return out;
}

std::optional<std::size_t> offset_of(const std::string& text, const base::SourceSpan& span) {
  if (span.line < 1 || span.column < 1) return std::nullopt;
  std::size_t at = 0;
  for (int line = 1; line < span.line; ++line) {
    at = text.find('\n', at);
    if (at == std::string::npos) return std::nullopt;
    ++at;
  }
  at += static_cast<std::size_t>(span.column) - 1;
  return at < text.size() ? std::optional(at) : std::nullopt;
}

// The ways to write a setting into a text, the most fitting first. Each may be wrong: whoever takes one reads it again.
class Ways {
 public:
  Ways(const std::string& text, const Value& document, const Setting& setting, std::string_view value)
      : text_(text),
        document_(document),
        setting_(setting),
        value_(format::toml_string(profile_text_of(value))) {
    end_ = text.find("\r\n") == std::string::npos ? "\n" : "\r\n";
  }

  std::vector<std::string> all() {
    in_place();
    for (std::size_t depth = setting_.size() - 1; depth > 0; --depth) {
      below_header(depth);
      in_braces(depth);
    }
    beside_dotted_keys();
    at_the_end();
    return std::move(ways_);
  }

 private:
  void insert(std::size_t at, const std::string& words) {
    ways_.push_back(text_.substr(0, at) + words + text_.substr(at));
  }

  void in_place() {
    const Value* old = document_.find_path(dotted(setting_, 0, setting_.size()));
    const auto begin = old != nullptr && old->is_string() ? offset_of(text_, old->span) : std::nullopt;
    if (!begin || (text_[*begin] != '"' && text_[*begin] != '\'')) return;
    ways_.push_back(text_.substr(0, *begin) + value_ + text_.substr(format::toml_string_end(text_, *begin)));
  }

  void below_header(std::size_t depth) {
    const std::string wanted = "[" + dotted(setting_, 0, depth) + "]";
    for (std::size_t begin = 0; begin < text_.size();) {
      const std::size_t line_end = text_.find('\n', begin);
      const std::size_t next = line_end == std::string::npos ? text_.size() : line_end + 1;
      std::string header = text_.substr(begin, next - begin);
      const std::string indent = header.substr(0, header.find('['));
      std::erase_if(header, [](char c) { return c == ' ' || c == '\t' || c == '"' || c == '\''; });
      if (header.starts_with(wanted))
        insert(next, (line_end == std::string::npos ? end_ : "") + indent + line(depth));
      begin = next;
    }
  }

  void in_braces(std::size_t depth) {
    const Value* table = document_.find_path(dotted(setting_, 0, depth));
    const auto begin = table != nullptr && table->is_object() ? offset_of(text_, table->span) : std::nullopt;
    if (!begin || text_[*begin] != '{') return;
    const bool others = !table->as_object().empty();
    insert(*begin + 1,
           fmt::format(" {} = {}{}", dotted(setting_, depth, setting_.size()), value_, others ? "," : " "));
  }

  void beside_dotted_keys() {
    const Value* table = document_.find(setting_[0]);
    if (table == nullptr || !table->is_object() || table->as_object().empty()) return;
    base::SourceSpan span = table->as_object().front().key_span;
    span.column = 1;
    if (const auto begin = offset_of(text_, span)) insert(*begin, line(0));
  }

  void at_the_end() {
    std::string words = text_.empty() || text_.back() == '\n' ? "" : end_;
    if (!text_.empty()) words += end_;
    insert(text_.size(),
           words + "[" + dotted(setting_, 0, setting_.size() - 1) + "]" + end_ + line(setting_.size() - 1));
  }

  std::string line(std::size_t depth) const {
    return fmt::format("{} = {}{}", dotted(setting_, depth, setting_.size()), value_, end_);
  }

  const std::string& text_;
  const Value& document_;
  const Setting& setting_;
  std::string value_;
  std::string end_;
  std::vector<std::string> ways_;
};

}  // namespace

std::string profile_text_of(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i).starts_with("${")) out += '$';
    out += text[i];
  }
  return out;
}

Result<std::string> with_setting(const std::string& path, const std::string& text, const Setting& setting,
                                 std::string_view value) {
  ORCH_TRY(const Value before, format::parse_toml_text(path, text));
  const std::string wanted = with_member(before, setting, 0, profile_text_of(value)).canonical();
  for (std::string& way : Ways(text, before, setting, value).all()) {
    const auto after = format::parse_toml_text(path, way);
    if (after && after->canonical() == wanted) return way;
  }
  return fail(ErrorKind::profile,
              fmt::format("'{}' is written so that '{}' cannot be set in it", printable(path),
                          dotted(setting, 0, setting.size())),
              fmt::format("write {} = {} yourself", dotted(setting, 0, setting.size()),
                          format::toml_string(profile_text_of(value))));
}

Result<> require_own_file(const std::string& path) {
  ORCH_TRY(const std::string file, sys::real_path(path));
  ORCH_TRY(const struct stat info, sys::stat_file(file));
  if (info.st_uid != ::geteuid())
    return fail(ErrorKind::permission, fmt::format("the profile '{}' is another user's", printable(path)),
                "write a profile of your own that extends it");
  if (::access(file.c_str(), W_OK) != 0 || ::access(sys::parent_path(file).c_str(), W_OK) != 0)
    return fail(ErrorKind::permission, fmt::format("the profile '{}' cannot be written", printable(path)),
                "make the file and its folder writable, or write another profile that extends it");
  return {};
}

Result<bool> save_setting(const std::string& path, const Setting& setting, std::string_view value) {
  ORCH_CHECK(require_own_file(path));
  ORCH_TRY(const std::string file, sys::real_path(path));
  ORCH_TRY(const std::string before, sys::read_file(file));
  ORCH_TRY(const std::string after, with_setting(path, before, setting, value));
  if (after == before) return false;
  ORCH_TRY(const struct stat info, sys::stat_file(file));
  ORCH_CHECK(sys::write_atomic(file, after, sys::Sync::no, info.st_mode & 07777));
  return true;
}

}  // namespace orch::load
