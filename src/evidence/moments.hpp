// Moments as documents, directory names and people write them.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace orch::evidence {

// "2026-01-02", "2026-01-02 03:04", "2026-01-02T03:04:05", in local time; with a "Z" behind, as documents have it
// ("2026-01-02T03:04:05.678Z"), in UTC. nullopt for anything else, days that no month has included.
std::optional<std::chrono::system_clock::time_point> parse_moment(std::string_view text);

// "20260102-030405" with or without "-N" behind, the name of a run's directory, in local time.
std::optional<std::chrono::system_clock::time_point> parse_stamp(std::string_view name);

// Local time, "2026-01-02 03:04:05".
std::string local_time(std::chrono::system_clock::time_point when);

}  // namespace orch::evidence
