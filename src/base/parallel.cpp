#include "base/parallel.hpp"

#include <system_error>

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace orch::base {

namespace {

struct Failure {
  std::size_t item = 0;
  Error error;
};

}  // namespace

Result<> for_each_in_parallel(std::size_t items, const Threads& threads,
                              const std::function<Result<>(unsigned thread, std::size_t item)>& work) {
  std::atomic<std::size_t> next = 0;
  std::atomic<bool> failed = false;
  const std::size_t blocks = (items + threads.block - 1) / threads.block;
  const std::size_t count = std::clamp<std::size_t>(threads.count, 1, std::max<std::size_t>(blocks, 1));
  std::vector<std::optional<Failure>> failures(count);
  const auto run = [&](unsigned self) {
    while (!failed) {
      const std::size_t first = next.fetch_add(threads.block);
      if (first >= items) return;
      for (std::size_t item = first; item < std::min(first + threads.block, items); ++item) {
        Result<> done = work(self, item);
        if (done) continue;
        failures[self] = Failure{item, std::move(done).error()};
        failed = true;
        return;
      }
    }
  };
  std::vector<std::thread> others;
  others.reserve(count);
  try {
    for (unsigned i = 1; i < count; ++i) others.emplace_back(run, i);
  } catch (const std::system_error&) {
    // No more threads are to be had (a container's limit): those that there are do all the work.
  }
  run(0);
  for (std::thread& thread : others) thread.join();
  std::optional<Failure> first;
  for (std::optional<Failure>& failure : failures)
    if (failure && (!first || failure->item < first->item)) first = std::move(failure);
  return first ? fail(std::move(first->error)) : Result<>();
}

}  // namespace orch::base
