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

}  // namespace orch::cli
