// Memory for many small values that go together.
#pragma once

#include <cstddef>
#include <memory>
#include <memory_resource>
#include <span>
#include <string_view>
#include <type_traits>

namespace orch::elf {

// Blocks of whole huge pages, where the kernel has such of 2 MiB: one page fault instead of 512, which would take
// longer than what a resolver does with the memory. Elsewhere only the pages that are used take memory.
class HugeBlocks final : public std::pmr::memory_resource {
 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override;
  void do_deallocate(void* block, std::size_t bytes, std::size_t alignment) override;
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
};

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
  // For containers that live as long; what they outgrow is not used again.
  std::pmr::memory_resource* memory() { return &memory_; }

 private:
  static constexpr std::size_t k_first_block = (2U << 20) - 4096;  // with what the resource adds to it
  HugeBlocks blocks_;
  std::pmr::monotonic_buffer_resource memory_{k_first_block, &blocks_};
};

}  // namespace orch::elf
