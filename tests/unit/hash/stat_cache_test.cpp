// When a file is read again and when it is not; and what a damaged cache file does.
#include "hash/stat_cache.hpp"

#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

using namespace orch;
using test::TempDir;

namespace {

std::int64_t changed_ns(const std::string& path) {
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return std::int64_t{info.st_ctim.tv_sec} * 1'000'000'000 + info.st_ctim.tv_nsec;
}

constexpr std::int64_t k_minute = 60'000'000'000;

}  // namespace

TEST_SUITE("stat cache") {
  TEST_CASE("an unchanged file is read once, also by the next process") {
    const TempDir temp;
    const std::string file = temp.write("f", "hello");
    const std::int64_t later = changed_ns(file) + k_minute;
    {
      hash::StatCache cache(temp / "cache", [&] { return later; });
      CHECK(cache.digest(file) == hash::digest_of("hello"));
      CHECK(cache.digest(file) == hash::digest_of("hello"));
      CHECK(cache.files_hashed() == 1);
    }
    hash::StatCache cache(temp / "cache", [&] { return later; });
    CHECK(cache.digest(file) == hash::digest_of("hello"));
    CHECK(cache.sha256(file) == hash::sha256_of("hello"));
    CHECK(cache.files_hashed() == 1);  // for SHA-256, which is another question
  }

  TEST_CASE("a file that was changed in the same clock tick is not trusted") {
    const TempDir temp;
    const std::string file = temp.write("f", "one");
    const std::int64_t tick = changed_ns(file);
    hash::StatCache cache(temp / "cache", [&] { return tick + 1'000'000; });
    CHECK(cache.digest(file) == hash::digest_of("one"));
    CHECK(cache.digest(file) == hash::digest_of("one"));
    CHECK(cache.files_hashed() == 2);
  }

  TEST_CASE("other content with the same size and an older time is seen") {
    const TempDir temp;
    const std::string file = temp.write("f", "one");
    const auto before = std::filesystem::last_write_time(file);
    std::int64_t now = changed_ns(file) + k_minute;
    hash::StatCache cache(temp / "cache", [&] { return now; });
    CHECK(cache.digest(file) == hash::digest_of("one"));
    temp.write("g", "two");
    std::filesystem::rename(temp / "g", file);
    std::filesystem::last_write_time(file, before);
    CHECK(cache.digest(file) == hash::digest_of("two"));
  }

  TEST_CASE("texts about a file go with it") {
    const TempDir temp;
    const std::string file = temp.write("tool", "v1");
    const std::int64_t later = changed_ns(file) + k_minute;
    hash::StatCache cache(temp / "cache", [&] { return later; });
    int asked = 0;
    const auto ask = [&]() -> base::Result<std::string> { return "version " + std::to_string(++asked); };
    CHECK(cache.text_of(file, "version", ask).value() == "version 1");
    CHECK(cache.text_of(file, "version", ask).value() == "version 1");
    CHECK(cache.text_of(file, "another topic", ask).value() == "version 2");
    temp.write("tool", "another tool");
    CHECK(cache.text_of(file, "version", ask).value() == "version 3");
  }

  TEST_CASE("a cache file that is foreign or cut anywhere costs time, never a wrong answer") {
    const TempDir temp;
    const std::string file = temp.write("f", "hello");
    const std::string second = temp.write("g", "world");
    const std::int64_t later = changed_ns(second) + k_minute;
    {
      hash::StatCache cache(temp / "cache", [&] { return later; });
      CHECK(cache.digest(file));
      CHECK(cache.digest(second));
    }
    const auto size = std::filesystem::file_size(temp / "cache");
    for (std::uintmax_t cut = 0; cut < size; cut += 5) {
      std::filesystem::copy_file(temp / "cache", temp / "cut",
                                 std::filesystem::copy_options::overwrite_existing);
      std::filesystem::resize_file(temp / "cut", cut);
      {
        hash::StatCache cache(temp / "cut", [&] { return later; });
        CHECK(cache.digest(file) == hash::digest_of("hello"));
        CHECK(cache.digest(second) == hash::digest_of("world"));
      }
      hash::StatCache healed(temp / "cut", [&] { return later; });
      CHECK(healed.digest(file) == hash::digest_of("hello"));
      CHECK(healed.files_hashed() == 0);
    }
    temp.write("foreign", "another program's file\n");
    hash::StatCache cache(temp / "foreign", [&] { return later; });
    CHECK(cache.digest(file) == hash::digest_of("hello"));
  }

  TEST_CASE("a cache that cannot be written is no error") {
    const TempDir temp;
    const std::string file = temp.write("f", "hello");
    hash::StatCache cache("/proc/no/such/place");
    CHECK(cache.digest(file) == hash::digest_of("hello"));
  }

  TEST_CASE("a directory has the digest of its listing") {
    const TempDir temp;
    temp.write("d/a", "1");
    temp.write("d/b/c", "2");
    hash::StatCache cache("");
    const auto before = cache.tree_digest(temp / "d");
    REQUIRE(before);
    CHECK(cache.tree_digest(temp / "d").value() == *before);
    temp.write("d/b/c", "3");
    CHECK(cache.tree_digest(temp / "d").value() != *before);
    CHECK_FALSE(cache.digest(temp / "d"));
  }
}
