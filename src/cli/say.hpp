// Lines for the user. That nobody can read them (a closed or full standard error) changes nothing of what the tool does.
#pragma once

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace orch::cli {

// Waits for whoever reads standard error, but not once a signal waits that asks for the end, nor longer than a moment after
// hurry(): then this and all that follows is not said.
void say(std::string_view text);
void hurry();

template <typename... Arguments>
void say(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  say(std::string_view(fmt::format(format, std::forward<Arguments>(arguments)...)));
}

}  // namespace orch::cli
