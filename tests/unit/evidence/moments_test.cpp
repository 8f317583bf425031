#include "evidence/moments.hpp"

#include "sys/clock.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <string>

using namespace orch;
using evidence::parse_moment;
using evidence::parse_stamp;

TEST_CASE("a moment is read as documents write it") {
  const auto when = parse_moment("2026-01-02T03:04:05.678Z");
  REQUIRE(when);
  CHECK(sys::rfc3339(*when) == "2026-01-02T03:04:05.678Z");
  CHECK(*parse_moment("1970-01-01T00:00:00Z") == std::chrono::system_clock::time_point{});
}

TEST_CASE("a moment without a zone is local, and what is left out is midnight") {
  const auto day = parse_moment("2026-01-02");
  REQUIRE(day);
  CHECK(evidence::local_time(*day) == "2026-01-02 00:00:00");
  CHECK(evidence::local_time(*parse_moment("2026-01-02 03:04")) == "2026-01-02 03:04:00");
  CHECK(evidence::local_time(*parse_moment("2026-01-02T03:04:05")) == "2026-01-02 03:04:05");
}

TEST_CASE("what is no moment is none") {
  for (const char* text :
       {"", "2026", "2026-1-2", "2026-02-30", "2026-13-01", "2026-01-02T", "2026-01-02 25:00",
        "2026-01-02 10:60", "2026-01-02 10:00 ", "2026-01-02 10:00:00.", "yesterday", "2026-01-02Z"})
    CHECK_MESSAGE(!parse_moment(text), text);
}

TEST_CASE("the name of a run's directory is a moment") {
  const auto when = parse_stamp("20260102-030405");
  REQUIRE(when);
  CHECK(sys::compact_local(*when) == "20260102-030405");
  CHECK(parse_stamp("20260102-030405-12") == when);
  for (const char* name : {"", "20260102", "20260102-03040", "20260102-030405-", "20260102-030405-a",
                           "20260102-030405x", "20261302-030405"})
    CHECK_MESSAGE(!parse_stamp(name), name);
}
