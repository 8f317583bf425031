// What steps tell the build that started them: one line per event through an inherited pipe, whose number is
// in the environment. A line is shorter than PIPE_BUF, so lines of parallel steps never mix; a build that
// died is no reason for a step to stop.
#pragma once

#include <string>

namespace orch::ninja {

inline constexpr const char* k_events_variable = "APPIMAGE_ORCH_EVENTS_FD";

struct Event {
  enum class Kind { started, finished } kind = Kind::started;
  std::string step;
  std::string result;   // finished: "executed", "cached", "fresh", "failed"
  double seconds = 0;   // finished
  std::string message;  // failed: one line; cut to fit
  std::string hint;     // failed: what to do, or empty
};

// "S<TAB>ID" or "F<TAB>ID<TAB>RESULT<TAB>SECONDS<TAB>MESSAGE<TAB>HINT", with a newline.
std::string event_line(const Event& event);
// False for a line that is no event.
bool parse_event(const std::string& line, Event& event);

}  // namespace orch::ninja
