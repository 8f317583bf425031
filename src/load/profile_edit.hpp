// One setting in the file of a user's profile. Comments, order and spelling of all else stay as they are, byte for byte.
#pragma once

#include "base/result.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace orch::load {

using base::Result;

// A text as a string of a profile has it: "${" in it is no variable.
std::string profile_text_of(std::string_view text);

// The names of tables and, last, of the key: {"launch", "gpu_mode"}. Each can stand in TOML without quotes.
using Setting = std::vector<std::string>;

// `text` of a profile with the setting: in place of its value, else in its table, else behind everything. `path` is for errors:
// no TOML, or tables that are written so that there is no place for it.
Result<std::string> with_setting(const std::string& path, const std::string& text, const Setting& setting,
                                 std::string_view value);

// Whether save_setting() may write there: errors where the file is another user's, or cannot be replaced.
Result<> require_own_file(const std::string& path);

// Writes with_setting() of the file, which keeps its permissions; a link stays one. False: it says so already.
Result<bool> save_setting(const std::string& path, const Setting& setting, std::string_view value);

}  // namespace orch::load
