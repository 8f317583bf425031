// Names of environment variables.
#pragma once

#include <algorithm>
#include <string_view>

namespace orch::base {

inline constexpr const char* k_variable_name_hint =
    "a name has letters, digits and '_', and does not begin with a digit";

// What a shell takes as a name: [A-Za-z_][A-Za-z0-9_]*. Anything else would be text for it where the variable is exported.
inline bool is_variable_name(std::string_view name) {
  const auto is_letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; };
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return !name.empty() && !is_digit(name[0]) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return is_letter(c) || is_digit(c); });
}

}  // namespace orch::base
