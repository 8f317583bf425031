// Time as a seam: real time below, a hand-moved clock in tests.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace orch::sys {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual std::chrono::system_clock::time_point now() const = 0;
  virtual std::chrono::steady_clock::time_point monotonic() const = 0;
};

class SystemClock final : public Clock {
 public:
  std::chrono::system_clock::time_point now() const override { return std::chrono::system_clock::now(); }
  std::chrono::steady_clock::time_point monotonic() const override {
    return std::chrono::steady_clock::now();
  }
};

// RFC 3339 in UTC with milliseconds: "2026-01-02T03:04:05.678Z".
std::string rfc3339(std::chrono::system_clock::time_point when);
// Local time, "YYYYMMDD-HHMMSS": the names of evidence directories.
std::string compact_local(std::chrono::system_clock::time_point when);

}  // namespace orch::sys
