// When an application counts as started: how that is asked for, and how it is seen.
#pragma once

#include "base/result.hpp"
#include "probe/x_windows.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace orch::probe {

using base::Result;

struct Readiness {
  enum class Kind { exit, line, window, time } kind = Kind::exit;
  std::string text;  // line: part of it; window: its class, empty for any
  std::chrono::milliseconds time{0};
};
// "exit", "log:TEXT", "window", "window:CLASS", "after:DURATION" ("2s", "500ms").
Result<Readiness> parse_readiness(std::string_view text);

// Lines among the output that are not the application's, but of what it runs in.
struct ForeignLines {
  std::function<bool(std::string_view line)> is_one;  // of a whole line, without its end; may be empty
  std::function<bool(std::string_view beginning)>
      may_be_one;  // of a line whose rest has not come yet; both or none
};

// Looks whether one start has got there.
class ReadinessWatch {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // Of a window: connects to the X server of this process ($DISPLAY), before the application is started.
  static Result<ReadinessWatch> make(const Readiness& readiness, ForeignLines foreign = {});

  // The application's command begins. What was printed or shown before is not its own; of several the last counts.
  void began(Time now);
  void output(std::string_view bytes, Time now);
  // To be called once per interval().
  void look(Time now);
  std::optional<std::chrono::milliseconds> interval()
      const;  // nullopt: nothing to look at but output and the end
  // The moment, once it has come. Never for Kind::exit: that is the end of the run.
  std::optional<Time> ready() const { return ready_; }
  std::optional<Time> began() const { return began_; }
  // Why it cannot become ready any more ("the X server has gone"); empty.
  const std::string& problem() const { return problem_; }

 private:
  ReadinessWatch(Readiness readiness, ForeignLines foreign)
      : readiness_(std::move(readiness)), foreign_(std::move(foreign)) {}
  bool is_the_line(bool whole) const;

  Readiness readiness_;
  ForeignLines foreign_;
  std::optional<XWindows> windows_;
  std::string line_;  // what has come of it so far; of a very long one its end
  std::optional<Time> began_;
  std::optional<Time> ready_;
  std::string problem_;
};

}  // namespace orch::probe
