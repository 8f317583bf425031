// Small text helpers that every folder may use. Bytes in, bytes out; nothing here depends on the locale.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace orch::base {

std::vector<std::string_view> split(std::string_view text, char separator);
std::string join(std::span<const std::string> parts, std::string_view separator);
std::string_view trim(std::string_view text);
bool is_utf8(std::string_view bytes);

// Makes untrusted bytes safe for a terminal: control characters, DEL, C1 and invalid UTF-8 become \xNN,
// backslash \\.
std::string printable(std::string_view bytes);
// At most `characters` (at least 4) code points of UTF-8 text; what is cut off ends in "...". Bytes that are
// no UTF-8 count one each.
std::string shortened(std::string_view text, std::size_t characters);
// A word as a POSIX shell would need it; unchanged where no quoting is needed.
std::string shell_quote(std::string_view word);
std::string shell_join(std::span<const std::string> argv);

std::string hex(std::span<const std::uint8_t> bytes);
std::optional<std::vector<std::uint8_t>> unhex(std::string_view text);
std::string base64(std::string_view bytes);
std::optional<std::string> unbase64(std::string_view text);

// "1.5 MiB"; below 1 KiB "N bytes".
std::string human_size(std::uint64_t bytes);
// "1.2 s", "35 ms", "2 min 3 s".
std::string human_seconds(double seconds);
// "1 package", "2 packages".
std::string quantity(std::size_t number, std::string_view one, std::string_view many);

// The candidate with the smallest edit distance (Damerau-Levenshtein, optimal string alignment), if that is
// at most max(1, length/3); nullopt otherwise.
std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace orch::base
