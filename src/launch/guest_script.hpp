// Shell text for what cannot be said with an argument vector alone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace orch::launch {

// POSIX shell text that runs each command; one that fails is reported on standard error and does not keep the
// application from starting (a prelude under `set -e` did that once). Ends with a newline; empty for no
// commands.
std::string prelude_script(const std::vector<std::string>& commands);

// A word for a POSIX shell, of any bytes; bytes that are no UTF-8 become octal escapes of printf.
std::string shell_word(const std::string& word);

// Arguments of a shell that goes to words[0], runs `exports` and the prelude, and becomes words[1] with the
// rest as arguments. `plain`: the words are passed as arguments; otherwise they are written into the script.
// Where the directory cannot be entered the shell says so and exits with 125.
std::vector<std::string> guest_script(const std::vector<std::string>& words, const std::string& exports,
                                      const std::vector<std::string>& prelude, bool plain);

}  // namespace orch::launch
