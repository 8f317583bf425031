#include "probe/page_cache.hpp"

#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

using namespace orch;
using namespace orch::probe;

namespace {

constexpr std::size_t k_page = 4096;
constexpr std::size_t k_size = 64 * k_page;

// How many pages of the file are in memory.
std::size_t resident(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  REQUIRE(fd >= 0);
  void* const at = ::mmap(nullptr, k_size, PROT_READ, MAP_SHARED, fd, 0);
  REQUIRE(at != MAP_FAILED);
  std::vector<unsigned char> pages(k_size / static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)));
  REQUIRE(::mincore(at, k_size, pages.data()) == 0);
  ::munmap(at, k_size);
  ::close(fd);
  return static_cast<std::size_t>(
      std::count_if(pages.begin(), pages.end(), [](unsigned char page) { return (page & 1) != 0; }));
}

}  // namespace

TEST_CASE("dropped files are not in memory any more") {
  const test::TempDir place;
  struct statfs info {};
  REQUIRE(::statfs(place.path().c_str(), &info) == 0);
  if (info.f_type == TMPFS_MAGIC) return;  // which is memory
  const std::string one = place.write("one", std::string(k_size, 'x'));
  const std::string other = place.write("folder/other", std::string(k_size, 'y'));
  const std::string kept = place.write("kept", std::string(k_size, 'z'));
  REQUIRE(::symlink(kept.c_str(), (place / "folder/link").c_str()) == 0);
  CHECK(resident(one) > 0);
  CHECK(resident(other) > 0);
  const CacheDrop drop = drop_pages_of({one, place / "folder"});
  CHECK(drop.method == CacheDrop::Method::fadvise);
  CHECK(drop.detail.find("only 2 files of the stack") == 0);
  CHECK(resident(one) == 0);
  CHECK(resident(other) == 0);
  CHECK(resident(kept) > 0);
  CHECK(drop_pages_of({place / "absent"}).method == CacheDrop::Method::none);
}
