#include "base/parallel.hpp"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <pthread.h>
#include <utility>
#include <vector>

namespace orch::base {

namespace {

struct Failure {
  std::size_t item = 0;
  Error error;
};

// Threads that start on other processors than the one that makes them. The kernel may queue a new thread behind its
// maker, though another processor is idle, until the next tick (4 ms): as long as all of a small work takes. A thread
// may go anywhere once it has begun.
class Threaded {
 public:
  // `run` must live until join().
  Threaded(const std::function<void(unsigned)>& run, unsigned count) : run_(run) {
    CPU_ZERO(&all_);
    spread_ = count > 1 && ::sched_getaffinity(0, sizeof all_, &all_) == 0 &&
              count <= static_cast<unsigned>(CPU_COUNT(&all_));
    starts_.reserve(count);
    for (unsigned self = 1; self < count; ++self)
      if (!start(self)) return;  // a container's limit: those threads that there are do all the work
  }
  Threaded(const Threaded&) = delete;
  Threaded& operator=(const Threaded&) = delete;
  ~Threaded() {
    for (const Start& start : starts_) ::pthread_join(start.thread, nullptr);
  }

 private:
  struct Start {
    const Threaded* all;
    unsigned self;
    pthread_t thread;
  };

  bool start(unsigned self) {
    pthread_attr_t attributes;
    if (::pthread_attr_init(&attributes) != 0) return false;
    if (const int here = spread_ ? ::sched_getcpu() : -1; here >= 0) {
      cpu_set_t others = all_;
      CPU_CLR(static_cast<unsigned>(here), &others);
      (void)::pthread_attr_setaffinity_np(&attributes, sizeof others, &others);
    }
    Start& item = starts_.emplace_back(Start{this, self, {}});
    const bool started = ::pthread_create(&item.thread, &attributes, begin, &item) == 0;
    ::pthread_attr_destroy(&attributes);
    if (!started) starts_.pop_back();
    return started;
  }
  static void* begin(void* argument) {
    const Start& start = *static_cast<const Start*>(argument);
    if (start.all->spread_)
      (void)::pthread_setaffinity_np(::pthread_self(), sizeof start.all->all_, &start.all->all_);
    start.all->run_(start.self);
    return nullptr;
  }

  const std::function<void(unsigned)>& run_;
  cpu_set_t all_;
  bool spread_ = false;
  std::vector<Start> starts_;  // never grows beyond what was reserved: the threads refer to its items
};

}  // namespace

Result<> for_each_in_parallel(std::size_t items, const Threads& threads,
                              const std::function<Result<>(unsigned thread, std::size_t item)>& work) {
  std::atomic<std::size_t> next = 0;
  std::atomic<bool> failed = false;
  const std::size_t blocks = (items + threads.block - 1) / threads.block;
  const std::size_t count = std::clamp<std::size_t>(threads.count, 1, std::max<std::size_t>(blocks, 1));
  std::vector<std::optional<Failure>> failures(count);
  const std::function<void(unsigned)> run = [&](unsigned self) {
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
  {
    const Threaded others(run, static_cast<unsigned>(count));
    run(0);
  }
  std::optional<Failure> first;
  for (std::optional<Failure>& failure : failures)
    if (failure && (!first || failure->item < first->item)) first = std::move(failure);
  return first ? fail(std::move(first->error)) : Result<>();
}

}  // namespace orch::base
