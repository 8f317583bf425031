// A terminal's output for people who read it in an editor: without escape sequences, with plain line ends.
#pragma once

#include <string>
#include <string_view>

namespace orch::evidence {

// Takes the output piece by piece. Left out: escape sequences (ECMA-48: CSI, OSC and the other strings up to their end,
// two-byte ones), control characters other than tab and newline, and carriage returns before a newline; one elsewhere
// becomes a newline, as a progress line is written over.
class PlainText {
 public:
  std::string add(std::string_view bytes);
  std::string finish();  // what a carriage return at the very end becomes

 private:
  enum class State { text, escape, csi, string, string_escape, intermediate };
  void step(char c, std::string& out);
  void text(char c, std::string& out);
  State state_ = State::text;
  bool carriage_return_ = false;
};

}  // namespace orch::evidence
