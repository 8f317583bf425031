// TOML into base::Value with positions. The only user of toml++.
#pragma once

#include "base/result.hpp"
#include "base/value.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace orch::format {

using base::Result;
using base::Value;

// Syntax errors carry file, line, column and the source line. Dates and times become strings.
Result<Value> parse_toml(std::shared_ptr<const base::SourceFile> file);
// Reads the file first.
Result<Value> parse_toml_text(std::string path, std::string text);

// Behind the string whose opening quotes are at `begin`: basic or literal, on one line or several. The text is valid TOML.
std::size_t toml_string_end(std::string_view text, std::size_t begin);

// A string as TOML writes it, quotes included (basic string).
std::string toml_string(std::string_view text);

}  // namespace orch::format
