// Work on many items by several threads.
#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <functional>

namespace orch::base {

struct Threads {
  unsigned count = 1;     // with the calling one
  std::size_t block = 1;  // how many neighbouring items one thread takes in turn
};

// Calls work(thread, item) for each item below `items`, each once, in any order and at the same time; `thread`
// counts from 0, and one thread works on one item at a time. After an Error nothing new is begun; of several
// the one of the first item is returned. `work` does not throw.
Result<> for_each_in_parallel(std::size_t items, const Threads& threads,
                              const std::function<Result<>(unsigned thread, std::size_t item)>& work);

}  // namespace orch::base
