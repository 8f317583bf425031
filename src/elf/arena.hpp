// Memory for many small values that go together.
#pragma once

#include <cstddef>
#include <memory>
#include <memory_resource>
#include <span>
#include <string_view>
#include <type_traits>

namespace orch::elf {

// What it gives lives as long as it. One thread at a time.
class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  template <class T>
  requires std::is_trivially_destructible_v<T> std::span<T> copy(std::span<const T> from) {
    if (from.empty()) return {};
    T* const to = std::pmr::polymorphic_allocator<T>(&memory_).allocate(from.size());
    std::uninitialized_copy(from.begin(), from.end(), to);
    return {to, from.size()};
  }
  template <class T>
  T* keep(const T& value) {
    return copy(std::span(&value, 1)).data();
  }
  std::string_view text(std::string_view from) {
    const std::span<const char> kept = copy(std::span<const char>(from.data(), from.size()));
    return {kept.data(), kept.size()};
  }

 private:
  static constexpr std::size_t k_first_block = 64U << 10;
  std::pmr::monotonic_buffer_resource memory_{k_first_block};
};

}  // namespace orch::elf
