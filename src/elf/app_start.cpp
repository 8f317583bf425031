#include "elf/app_start.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

namespace orch::elf {

using image::EntryKind;
using image::FileTree;
using image::NodeType;

namespace {

constexpr std::size_t k_most_start_script = 256U << 10;

// AppImageKit's AppRun prepends these, in this order, below the application's directory.
constexpr std::array k_apprun_directories = {
    "usr/lib", "usr/lib/i386-linux-gnu", "usr/lib/x86_64-linux-gnu", "usr/lib32", "usr/lib64",
    "lib",     "lib/i386-linux-gnu",     "lib/x86_64-linux-gnu",     "lib32",     "lib64"};

bool is_name_character(char c, bool first) {
  return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (!first && c >= '0' && c <= '9');
}

// Behind the parenthesis that closes the one at `at`; the end of the line where none does.
std::size_t substitution_end(std::string_view line, std::size_t at) {
  std::size_t depth = 0;
  for (; at < line.size(); ++at) {
    if (line[at] == '(') ++depth;
    if (line[at] == ')' && --depth == 0) return at + 1;
  }
  return at;
}

// One line of a shell script as words: quotes and backslashes are taken away, variables stay as "$NAME" with
// the name in braces. What is more than that (command substitutions) is left as it stands.
std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> words;
  std::string word;
  bool any = false;
  char quote = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quote == 0 && c == '#' && !any) break;
    if (quote == 0 && (c == ' ' || c == '\t' || c == ';' || c == '&' || c == '|')) {
      if (any) words.push_back(std::exchange(word, {}));
      any = false;
      if (c != ' ' && c != '\t') words.emplace_back(";");
      continue;
    }
    any = true;
    if (quote != '\'' && c == '$' && i + 1 < line.size() && line[i + 1] == '(') {
      const std::size_t end = substitution_end(line, i + 1);
      word += line.substr(i, end - i);
      i = end - 1;
      continue;
    }
    if (quote != '\'' && c == '\\' && i + 1 < line.size()) {
      word += line[++i];
    } else if (quote == 0 && (c == '"' || c == '\'')) {
      quote = c;
    } else if (c == quote) {
      quote = 0;
    } else {
      word += c;
    }
  }
  if (any) words.push_back(word);
  return words;
}

class ScriptReader {
 public:
  explicit ScriptReader(std::string_view appdir) : appdir_(appdir) { variables_["APPDIR"] = appdir_; }

  ScriptReading run(std::string_view script) {
    std::string joined;
    for (const std::string_view line : base::split(script, '\n')) {
      joined += line;
      if (joined.ends_with('\\')) {
        joined.back() = ' ';
        continue;
      }
      read_line(joined);
      joined.clear();
    }
    return std::move(out_);
  }

 private:
  // nullopt: a variable in it is not known.
  std::optional<std::string> expand(std::string_view text) const {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '$') {
        out += text[i];
        continue;
      }
      const bool braces = i + 1 < text.size() && text[i + 1] == '{';
      std::size_t end = i + (braces ? 2 : 1);
      const std::size_t begin = end;
      while (end < text.size() && is_name_character(text[end], end == begin)) ++end;
      const std::string name(text.substr(begin, end - begin));
      const auto known = variables_.find(name);
      if (known == variables_.end()) return std::nullopt;
      // "${NAME:-…}", "${NAME%/}": taken for the variable itself.
      if (braces) end = std::min(text.find('}', end), text.size() - 1) + 1;
      out += known->second;
      i = end - 1;
    }
    return out;
  }

  // The directory of the script, however it is found out.
  static bool names_own_place(std::string_view value) {
    const bool self = value.find("$0") != std::string_view::npos ||
                      value.find("${0") != std::string_view::npos ||
                      value.find("BASH_SOURCE") != std::string_view::npos ||
                      value.find("/proc/self/exe") != std::string_view::npos;
    return self &&
           (value.find("dirname") != std::string_view::npos || value.find("%/") != std::string_view::npos);
  }

  void assign(const std::string& name, std::string_view raw, std::string_view value) {
    if (name == "LD_LIBRARY_PATH") return library_path(std::string(value));
    if (names_own_place(raw)) {
      variables_[name] = appdir_;
      return;
    }
    // The full path of the script itself: what "dirname" is applied to later.
    if (raw.find("$0") != std::string_view::npos || raw.find("BASH_SOURCE") != std::string_view::npos) {
      variables_[name] = appdir_ + "/AppRun";
      return;
    }
    const bool strips =
        raw.find("dirname") != std::string_view::npos || raw.find("%/") != std::string_view::npos;
    for (const auto& [known, path] : variables_) {
      const bool uses =
          raw.find("$" + known) != std::string_view::npos || raw.find("${" + known) != std::string_view::npos;
      if (!strips || !uses || path != appdir_ + "/AppRun") continue;
      variables_[name] = appdir_;
      return;
    }
    if (const std::optional<std::string> known = expand(value)) variables_[name] = *known;
  }

  // Takes every use of the variable itself out of `value`: "$LD_LIBRARY_PATH",
  // "${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}". Whether there was one.
  static bool take_out_itself(std::string& value) {
    static constexpr std::string_view k_plain = "$LD_LIBRARY_PATH";
    static constexpr std::string_view k_braces = "${LD_LIBRARY_PATH";
    bool any = false;
    for (std::size_t at = value.find(k_braces); at != std::string::npos; at = value.find(k_braces)) {
      const std::size_t end = value.find('}', at);
      value.erase(at, end == std::string::npos ? end : end + 1 - at);
      any = true;
    }
    for (std::size_t at = value.find(k_plain); at != std::string::npos; at = value.find(k_plain)) {
      value.erase(at, k_plain.size());
      any = true;
    }
    return any;
  }

  void library_path(std::string value) {
    const bool takes_over = take_out_itself(value);
    std::vector<std::string> parts;
    for (const std::string_view part : base::split(value, ':')) {
      if (part.empty()) continue;
      const std::optional<std::string> known = expand(part);
      if (known && known->starts_with('/'))
        parts.push_back(*known);
      else
        out_.unknown.emplace_back(part);
    }
    if (takes_over) parts.insert(parts.end(), out_.library_path.begin(), out_.library_path.end());
    out_.library_path = std::move(parts);
  }

  void command(const std::string& word) {
    const std::optional<std::string> path = expand(word);
    if (path && path->starts_with(appdir_ + "/") &&
        std::find(out_.commands.begin(), out_.commands.end(), *path) == out_.commands.end())
      out_.commands.push_back(*path);
  }

  void read_line(std::string_view line) {
    bool first = true;     // a command may stand here
    bool is_name = false;  // what exec -a calls the program
    for (const std::string& word : words_of(line)) {
      if (std::exchange(is_name, first && word == "-a") || is_name) continue;
      static const std::set<std::string, std::less<>> k_before_command = {
          ";", "exec", "export", "readonly", "local", "env", "then", "else", "do", "if", "{", "(", "!"};
      if (k_before_command.contains(word)) {
        first = true;
        continue;
      }
      if (!first) continue;
      const std::size_t equals = word.find('=');
      const bool is_assignment = equals != std::string::npos && equals > 0 &&
                                 std::all_of(word.begin(), word.begin() + static_cast<std::ptrdiff_t>(equals),
                                             [](char c) { return is_name_character(c, false); });
      if (is_assignment) {
        const std::string name = word.substr(0, equals);
        assign(name, line.substr(std::min(line.find(name), line.size())),
               std::string_view(word).substr(equals + 1));
        continue;
      }
      command(word);
      first = false;
    }
  }

  std::string appdir_;
  std::map<std::string, std::string, std::less<>> variables_;
  ScriptReading out_;
};

class StartReader {
 public:
  StartReader(const FileTree& app, std::string_view appdir) : app_(app), appdir_(appdir) {}

  Result<> from_script(const image::Entry& entry) {
    ORCH_TRY(const image::Resolution found, image::resolve(app_, entry.target));
    if (found.outcome != image::Resolution::Outcome::found) return {};
    ORCH_TRY(const auto file, app_.open(found.node));
    ORCH_TRY(
        const std::string script,
        image::read_exact(
            *file, 0, static_cast<std::size_t>(std::min<std::uint64_t>(file->size(), k_most_start_script))));
    ScriptReading reading = read_start_script(script, appdir_);
    for (const std::string& command : reading.commands)
      ORCH_CHECK(add_program(command.substr(appdir_.size() + 1)));
    out_.library_path = std::move(reading.library_path);
    for (const std::string& part : reading.unknown)
      out_.notes.push_back(fmt::format("{} adds '{}' to LD_LIBRARY_PATH, which cannot be read off",
                                       entry.path, base::printable(part)));
    return {};
  }

  Result<> from_desktop(std::string_view exec) {
    const std::vector<std::string> words = words_of(exec);
    if (words.empty()) return {};
    const std::string name = words.front().substr(words.front().rfind('/') + 1);
    for (const char* folder : {"usr/bin/", "bin/", "usr/sbin/", "usr/games/"})
      ORCH_CHECK(add_program(folder + name));
    return {};
  }

  Result<> add_program(const std::string& path) {
    ORCH_TRY(const image::Resolution found, image::resolve(app_, path));
    if (found.outcome != image::Resolution::Outcome::found || found.type != NodeType::file) return {};
    ORCH_TRY(const image::NodeInfo info, app_.stat(found.node));
    if ((info.mode & 0111) == 0) return {};
    if (std::find(out_.programs.begin(), out_.programs.end(), found.path) == out_.programs.end())
      out_.programs.push_back(found.path);
    return {};
  }

  void add_apprun_directories() {
    for (const char* directory : k_apprun_directories) out_.library_path.push_back(appdir_ + "/" + directory);
  }

  const FileTree& app_;
  std::string appdir_;
  AppStart out_;
};

}  // namespace

ScriptReading read_start_script(std::string_view script, std::string_view appdir) {
  return ScriptReader(appdir).run(script);
}

Result<AppStart> read_app_start(const FileTree& app, const image::Entry& entry, std::string_view exec,
                                std::string_view appdir) {
  StartReader reader(app, appdir);
  if (entry.kind == EntryKind::elf) {
    ORCH_CHECK(reader.add_program(entry.target));
    // AppImageKit's AppRun is a small program that starts what the desktop entry names.
    const std::size_t own = reader.out_.programs.size();
    if (entry.links.empty()) ORCH_CHECK(reader.from_desktop(exec));
    if (reader.out_.programs.size() > own) {
      reader.add_apprun_directories();
      reader.out_.notes.emplace_back(
          "AppRun is taken for AppImageKit's, which starts the program of the desktop entry");
    }
  }
  if (entry.kind == EntryKind::script) {
    ORCH_CHECK(reader.from_script(entry));
    if (reader.out_.programs.empty()) ORCH_CHECK(reader.from_desktop(exec));
  }
  return std::move(reader.out_);
}

}  // namespace orch::elf
