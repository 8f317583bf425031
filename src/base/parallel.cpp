#include "base/parallel.hpp"

#include <sched.h>
#include <system_error>

#include <algorithm>
#include <atomic>
#include <optional>
#include <pthread.h>
#include <thread>
#include <utility>
#include <vector>

namespace orch::base {

namespace {

struct Failure {
  std::size_t item = 0;
  Error error;
};

// Starts threads on other processors than the one that makes them. The kernel may queue a new thread behind its
// maker, though another processor is idle, until the next tick (4 ms): as long as all of a small work takes. A
// thread may go anywhere once it has begun.
class Spread {
 public:
  explicit Spread(std::size_t threads) {
    CPU_ZERO(&all_);
    active_ = threads > 1 && ::sched_getaffinity(0, sizeof all_, &all_) == 0 &&
              threads <= static_cast<std::size_t>(CPU_COUNT(&all_));
  }
  void start(std::thread& thread) const {
    const int here = active_ ? ::sched_getcpu() : -1;
    if (here < 0) return;
    cpu_set_t others = all_;
    CPU_CLR(static_cast<unsigned>(here), &others);
    (void)::pthread_setaffinity_np(thread.native_handle(), sizeof others, &others);  // only a wish
  }
  // By the thread itself.
  void begun() const {
    if (active_) (void)::pthread_setaffinity_np(::pthread_self(), sizeof all_, &all_);
  }

 private:
  cpu_set_t all_;
  bool active_ = false;
};

}  // namespace

Result<> for_each_in_parallel(std::size_t items, const Threads& threads,
                              const std::function<Result<>(unsigned thread, std::size_t item)>& work) {
  std::atomic<std::size_t> next = 0;
  std::atomic<bool> failed = false;
  const std::size_t blocks = (items + threads.block - 1) / threads.block;
  const std::size_t count = std::clamp<std::size_t>(threads.count, 1, std::max<std::size_t>(blocks, 1));
  std::vector<std::optional<Failure>> failures(count);
  const Spread spread(count);
  const auto run = [&](unsigned self) {
    if (self != 0) spread.begun();
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
    for (unsigned i = 1; i < count; ++i) {
      others.emplace_back(run, i);
      spread.start(others.back());
    }
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
