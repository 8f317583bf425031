#include "base/parallel.hpp"

#include <doctest/doctest.h>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <string>
#include <vector>

using namespace orch;

TEST_CASE("each item is worked on once, whatever the threads") {
  for (const base::Threads threads : {base::Threads{1, 1}, base::Threads{0, 4}, base::Threads{4, 3},
                                      base::Threads{16, 1}, base::Threads{3, 1000}}) {
    std::vector<std::atomic<int>> seen(100);
    const auto done =
        base::for_each_in_parallel(seen.size(), threads, [&](unsigned thread, std::size_t item) {
          CHECK(thread < std::max(threads.count, 1U));
          ++seen[item];
          return base::Result<>();
        });
    CHECK(done);
    for (const std::atomic<int>& count : seen) CHECK(count == 1);
  }
  CHECK(base::for_each_in_parallel(0, {4, 1}, [](unsigned, std::size_t) -> base::Result<> {
    return base::fail(base::ErrorKind::internal, "called");
  }));
}

TEST_CASE("the error of the first item is told, and nothing new begun") {
  std::atomic<std::size_t> begun = 0;
  const auto done =
      base::for_each_in_parallel(100'000, {4, 2}, [&](unsigned, std::size_t item) -> base::Result<> {
        ++begun;
        if (item < 10) return {};
        return base::fail(base::ErrorKind::corrupt, "item " + std::to_string(item));
      });
  REQUIRE(!done);
  CHECK(done.error().what == "item 10");
  CHECK(begun < 100);
}

TEST_CASE("where no more threads are to be had, those that there are do all the work") {
  if (std::getenv("ORCH_SANITIZED") != nullptr) return;  // it wants more address space than that itself
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit limit{256U << 20, 256U << 20};  // of address space: a thread's stack alone has 8 MiB
    ::setrlimit(RLIMIT_AS, &limit);
    std::atomic<int> seen = 0;
    const auto done = base::for_each_in_parallel(10'000, {256, 1}, [&](unsigned, std::size_t) {
      ++seen;
      return base::Result<>();
    });
    ::_exit(done && seen == 10'000 ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}
