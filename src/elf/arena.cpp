#include "elf/arena.hpp"

#include <sys/mman.h>

#include <cstdlib>
#include <new>

namespace orch::elf {

namespace {

constexpr std::size_t k_huge_page = 2U << 20;

}  // namespace

void* HugeBlocks::do_allocate(std::size_t bytes, std::size_t) {
  const std::size_t size = (bytes + k_huge_page - 1) / k_huge_page * k_huge_page;
  void* const block = std::aligned_alloc(k_huge_page, size);
  if (block == nullptr) throw std::bad_alloc();
  ::madvise(block, size, MADV_HUGEPAGE);  // a wish; ordinary pages do as well
  return block;
}

void HugeBlocks::do_deallocate(void* block, std::size_t, std::size_t) {
  std::free(block);
}

}  // namespace orch::elf
