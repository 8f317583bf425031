// Lines that muvm and what it starts (udevd, passt, libkrun) print of themselves, among the command's own.
// Source: what muvm 0.1 to 0.6 and its parts print, each seen in a report of a user or in their sources.
#pragma once

#include <string_view>

namespace orch::launch {

// `line`: a whole line, without its end.
bool is_line_of_muvm(std::string_view line);
// `beginning`: of a line whose rest has not come yet.
bool may_be_line_of_muvm(std::string_view beginning);

}  // namespace orch::launch
