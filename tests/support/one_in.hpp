// How much of a long loop runs: all of it, or with ORCH_ONE_IN=N one round in N, where every instruction is
// emulated.
#pragma once

#include <cstdlib>

namespace orch::test {

inline unsigned one_in() {
  const char* text = std::getenv("ORCH_ONE_IN");
  const unsigned long chosen = text == nullptr ? 1 : std::strtoul(text, nullptr, 10);
  return chosen < 1 || chosen > 1000 ? 1 : static_cast<unsigned>(chosen);
}

}  // namespace orch::test
