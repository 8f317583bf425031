// Damage to bytes, for tests that give readers what no sound program writes.
#pragma once

#include "base/error.hpp"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <random>
#include <string>
#include <string_view>

namespace orch::test {

// Equal seeds, equal damage.
class Damage {
 public:
  explicit Damage(std::uint64_t seed) : random_(seed) {}

  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(random_() % limit); }

  std::string of(std::string bytes) {
    const std::size_t times = 1 + below(4);
    for (std::size_t i = 0; i < times && !bytes.empty(); ++i) change(bytes);
    return bytes;
  }

 private:
  void change(std::string& bytes) {
    const std::size_t at = place(bytes.size());
    switch (below(8)) {
      case 0:
      case 1:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        return;
      case 2:
        bytes[at] = static_cast<char>(random_());
        return;
      case 3:
        bytes.resize(at);
        return;
      case 4:
        bytes.erase(at, 1 + below(40));
        return;
      case 5: {
        const std::string part = bytes.substr(below(bytes.size()), 1 + below(600));
        bytes.insert(at, part);
        return;
      }
      case 6: {
        const std::string part = bytes.substr(below(bytes.size()), 1 + below(600));
        bytes.replace(at, part.size(), part);
        return;
      }
      default: {
        constexpr std::string_view k_parts[] = {
            "../", "/",  std::string_view("\0", 1), "7777777", "0000000", "-1", "\xff\xff\xff\xff", ".",
            "\"",  "]]", "99999999999999999999",    "S",       "2",       "x"};
        const std::string_view part = k_parts[below(std::size(k_parts))];
        bytes.replace(at, part.size(), part);
      }
    }
  }

  // Headers are at the front, and every 512 bytes in a tar archive.
  std::size_t place(std::size_t size) {
    const std::size_t at = below(size);
    if (below(3) == 0) return at % std::min<std::size_t>(size, 400);
    if (below(2) == 0) return std::min(size - 1, at / 512 * 512 + below(512));
    return at;
  }

  std::mt19937_64 random_;
};

// What damage can lead to: no sound package, a form that is not read, a layer that is refused.
inline bool is_expected(const base::Error& error) {
  using base::ErrorKind;
  return error.kind == ErrorKind::corrupt || error.kind == ErrorKind::unsupported ||
         error.kind == ErrorKind::profile;
}

}  // namespace orch::test
