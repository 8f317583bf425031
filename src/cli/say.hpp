// Lines for the user. That nobody can read them (a closed or full standard error) changes nothing of what the tool does.
#pragma once

#include "sys/file.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <string_view>
#include <utility>

namespace orch::cli {

inline void say(std::string_view text) {
  (void)sys::write_all(STDERR_FILENO, text, "standard error");
}

template <typename... Arguments>
void say(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  say(std::string_view(fmt::format(format, std::forward<Arguments>(arguments)...)));
}

}  // namespace orch::cli
