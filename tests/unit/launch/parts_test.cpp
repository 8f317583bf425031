#include "launch/parts.hpp"

#include <doctest/doctest.h>

using namespace orch::launch;

TEST_CASE("of an output its last 64 KiB at least are kept, without carriage returns") {
  constexpr std::size_t k_kept = 64 * 1024;
  std::string all;
  OutputTail small;
  for (int i = 0; i < 30'000; ++i) {
    const std::string line = "line " + std::to_string(i) + "\n";
    small.add(line.substr(0, 3));
    small.add(line.substr(3, line.size() - 4) + "\r\n");
    all += line;
    if (i % 1000 != 999) continue;
    const std::string text = small.text();
    CHECK(all.ends_with(text));
    CHECK(text.size() >= std::min(all.size(), k_kept * 9 / 10));
    CHECK(text.size() <= 2 * k_kept);
  }
  OutputTail large;
  large.add("before");
  large.add(all);
  CHECK(all.ends_with(large.text()));
  CHECK(large.text().size() == k_kept);
}
