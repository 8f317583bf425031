#include "package/apt_entries.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <vector>

namespace orch::package {

namespace {

bool same_word(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    const char lower = x >= 'A' && x <= 'Z' ? static_cast<char>(x - 'A' + 'a') : x;
    return lower == y;
  });
}

std::vector<std::string_view> words(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> found;
  while (!text.empty()) {
    const std::size_t start = text.find_first_not_of(separators);
    if (start == std::string_view::npos) break;
    text.remove_prefix(start);
    const std::size_t end = std::min(text.find_first_of(separators), text.size());
    found.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return found;
}

bool names(const std::vector<std::string_view>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

// Copies the options without arch; false if arch leaves out amd64.
bool keep_options(std::string_view options, std::string& out) {
  std::string kept;
  for (std::string_view option : words(options, " \t")) {
    if (option.starts_with("arch=")) {
      if (!names(words(option.substr(5), ","), "amd64")) return false;
      continue;
    }
    if (!kept.empty()) kept += ' ';
    kept += option;
  }
  if (!kept.empty()) out += "[" + kept + "] ";
  return true;
}

struct Field {
  std::string_view name;
  std::string text;   // whole lines, with the name and the final newline
  std::string value;  // without the name; continuation lines included
};

std::string_view take_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

std::string stanza_for_amd64(const std::vector<Field>& fields) {
  std::string out;
  bool deb = false;
  for (const Field& field : fields) {
    const std::vector<std::string_view> list = words(field.value, " \t\n");
    if (same_word(field.name, "types")) {
      deb = names(list, "deb");
    } else if (same_word(field.name, "architectures")) {
      if (!names(list, "amd64")) return {};
    } else if (same_word(field.name, "enabled") && !list.empty() &&
               (same_word(list[0], "no") || same_word(list[0], "false") || list[0] == "0")) {
      return {};
    } else {
      out += field.text;
    }
  }
  return deb ? "Types: deb\n" + out + "\n" : std::string();
}

}  // namespace

std::string amd64_list_entries(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    std::string_view line = take_line(text);
    line = base::trim(line.substr(0, line.find('#')));
    if (!line.starts_with("deb ") && !line.starts_with("deb\t")) continue;
    line = base::trim(line.substr(4));
    std::string entry = "deb ";
    if (line.starts_with('[')) {
      const std::size_t end = line.find(']');
      if (end == std::string_view::npos || !keep_options(line.substr(1, end - 1), entry)) continue;
      line = base::trim(line.substr(end + 1));
    }
    out += entry + std::string(line) + "\n";
  }
  return out;
}

std::string amd64_sources_entries(std::string_view text) {
  std::string out;
  std::vector<Field> fields;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (base::trim(line).empty()) {
      out += stanza_for_amd64(fields);
      fields.clear();
    } else if (line[0] == '#') {
      continue;
    } else if ((line[0] == ' ' || line[0] == '\t') && !fields.empty()) {
      fields.back().text += std::string(line) + "\n";
      fields.back().value += "\n" + std::string(line);
    } else if (const std::size_t colon = line.find(':'); colon != std::string_view::npos) {
      fields.push_back(
          {line.substr(0, colon), std::string(line) + "\n", std::string(line.substr(colon + 1))});
    }
  }
  return out + stanza_for_amd64(fields);
}

bool is_apt_entry_file(std::string_view name, std::string_view extension) {
  if (name.size() <= extension.size() || !name.ends_with(extension)) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
}

}  // namespace orch::package
