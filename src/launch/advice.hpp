// What known lines in an application's output mean, and what to do about them: a table as data, docs/advice.md for people.
// A new signature is one row and one test.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace orch::launch {

struct Signature {
  const char* id;       // stable, for scripts and tests
  const char* needles;  // one of these texts, separated by '|', is in each line that the pattern can match
  const char* pattern;  // ECMAScript regular expression, held against single lines without carriage returns
  const char* meaning;  // "{}" is the first group of the pattern
  const char* action;   // the same
};

// All rows, the more telling first.
const std::vector<Signature>& signatures();

struct Advice {
  std::string id;
  std::string line;  // of the output, printable, cut to 200 bytes
  std::string meaning;
  std::string action;
};

// One for each signature that is found, with the last line that has it, in the order of the table; at most eight.
// `output`: the terminal's last bytes, without carriage returns.
std::vector<Advice> advice_for(std::string_view output);

}  // namespace orch::launch
