#include "launch/guest_script.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

namespace orch::launch {

std::string prelude_script(const std::vector<std::string>& commands) {
  std::string out;
  for (const std::string& command : commands)
    // `command eval` and not `eval`: a syntax error in the latter ends a POSIX shell.
    out += fmt::format("command eval {} || echo \"appimage-orch: guest-pre ended with status $?\" >&2\n",
                       base::shell_quote(command));
  return out;
}

std::string shell_word(const std::string& word) {
  if (base::is_utf8(word)) return base::shell_quote(word);
  // $(…) drops newlines at the end, so those stand behind it.
  const std::size_t body = word.find_last_not_of('\n') + 1;
  std::string octal;
  for (const char byte : word.substr(0, body))
    octal += fmt::format("\\{:03o}", static_cast<unsigned char>(byte));
  const std::string newlines = word.substr(body);
  return fmt::format("\"$(printf '{}')\"{}", octal, newlines.empty() ? "" : "'" + newlines + "'");
}

std::vector<std::string> guest_script(const std::vector<std::string>& words, const std::string& exports,
                                      const std::vector<std::string>& prelude, bool plain) {
  const std::string pre = exports + prelude_script(prelude);
  if (plain) {
    std::vector<std::string> out = {"-c", "cd -- \"$1\" || exit 125\nshift\n" + pre + "exec \"$@\"\n", "sh"};
    out.insert(out.end(), words.begin(), words.end());
    return out;
  }
  std::string script = fmt::format("cd -- {} || exit 125\n{}exec", shell_word(words[0]), pre);
  for (std::size_t i = 1; i < words.size(); ++i) script += " " + shell_word(words[i]);
  return {"-c", script + "\n"};
}

}  // namespace orch::launch
