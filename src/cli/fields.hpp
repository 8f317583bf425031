// Pages of labelled fields for people, 80 columns wide.
#pragma once

#include <string>
#include <string_view>

namespace orch::cli {

// Appends words, wrapped at the width of a terminal; `start` opens the first line, spaces the others. A longer word
// stands alone.
void wrapped(std::string& out, std::string start, std::string_view words);

// Appends "  label       words", wrapped.
void field(std::string& out, std::string_view label, std::string_view words);

// Of a column of names; a longer one has a line of its own.
inline constexpr std::size_t k_widest_name = 32;
// A line of a table, `name` padded to `width`; a name that is wider stands on its own line, above the words.
void named(std::string& out, const std::string& start, const std::string& name, std::size_t width,
           const std::string& words);

}  // namespace orch::cli
