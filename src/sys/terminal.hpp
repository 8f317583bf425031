// The terminal that this process was started at.
#pragma once

#include <vector>

namespace orch::sys {

struct WindowSize {
  int columns = 80;
  int rows = 24;
};
// Of the first of these descriptors that is a terminal.
WindowSize user_window(const std::vector<int>& descriptors);

// Ignores what cannot be restored. The terminal settings of `fd` while this lives are raw.
class RawTerminal {
 public:
  explicit RawTerminal(int fd);
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;
  ~RawTerminal();
  bool active() const { return active_; }
  // Raw again, after somebody else (the shell of a stopped job) has changed the settings.
  void renew() const;

 private:
  int fd_;
  bool active_ = false;
};

// True where job control lets this process use the terminal: in its foreground, or not its controlling terminal.
bool in_foreground(int terminal);

}  // namespace orch::sys
