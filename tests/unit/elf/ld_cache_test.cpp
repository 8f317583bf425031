// ld.so.cache and ld.so.conf.
#include "elf/ld_cache.hpp"

#include "elf/ld_conf.hpp"
#include "unit/elf/root_tree.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

using namespace orch;
using Names = std::vector<std::string>;

namespace {

elf::LdCacheEntry entry(const std::string& name, const std::string& path, const std::string& hwcaps = "") {
  elf::LdCacheEntry out;
  out.name = name;
  out.path = path;
  out.hwcaps = hwcaps;
  return out;
}

std::string found(const elf::LdCache& cache, const std::string& name, unsigned level, bool legacy = false) {
  const std::string* path = cache.lookup(name, {level, legacy});
  return path ? *path : "";
}

std::vector<elf::LdCacheEntry> sample() {
  elf::LdCacheEntry i386 = entry("liba.so.1", "/lib32/liba.so.1");
  i386.flags = 3;
  elf::LdCacheEntry old = entry("libold.so.1", "/lib/x86_64/libold.so.1");
  old.hwcap = 2;
  return {entry("liba.so.1", "/lib/liba.so.1"),
          i386,
          entry("liba.so.1", "/lib/glibc-hwcaps/x86-64-v2/liba.so.1", "x86-64-v2"),
          entry("liba.so.1", "/lib/glibc-hwcaps/x86-64-v3/liba.so.1", "x86-64-v3"),
          entry("libb.so.9", "/lib/libb.so.9"),
          entry("libb.so.10", "/lib/libb.so.10"),
          old,
          entry("libold.so.1", "/lib/libold.so.1")};
}

}  // namespace

TEST_CASE("a cache that was written is read back, sorted as ldconfig sorts") {
  std::vector<elf::LdCacheEntry> entries = sample();
  const std::string bytes = elf::write_ld_cache(entries, "test");
  // Names and kinds decide, not the order in which they come; twice the same is one.
  std::rotate(entries.begin(), entries.begin() + 3, entries.end());
  entries.push_back(entries.back());
  CHECK(elf::write_ld_cache(entries, "test") == bytes);
  const auto cache = elf::LdCache::parse(bytes);
  REQUIRE(cache);
  Names paths;
  for (const elf::LdCacheEntry& one : cache->entries()) paths.push_back(one.path);
  CHECK(paths == Names{"/lib/x86_64/libold.so.1", "/lib/libold.so.1", "/lib/libb.so.10", "/lib/libb.so.9",
                       "/lib/glibc-hwcaps/x86-64-v2/liba.so.1", "/lib/glibc-hwcaps/x86-64-v3/liba.so.1",
                       "/lib/liba.so.1", "/lib32/liba.so.1"});
}

TEST_CASE("the best entry for the processor is taken, and none of another kind") {
  const elf::LdCache cache(*elf::LdCache::parse(elf::write_ld_cache(sample(), "test")));
  CHECK(found(cache, "liba.so.1", 1) == "/lib/liba.so.1");
  CHECK(found(cache, "liba.so.1", 2) == "/lib/glibc-hwcaps/x86-64-v2/liba.so.1");
  CHECK(found(cache, "liba.so.1", 3) == "/lib/glibc-hwcaps/x86-64-v3/liba.so.1");
  CHECK(found(cache, "libb.so.9", 3) == "/lib/libb.so.9");
  CHECK(found(cache, "libb.so.09", 3) == "/lib/libb.so.9");
  CHECK(found(cache, "libb.so.1", 3).empty());
  CHECK(found(cache, "libold.so.1", 3) == "/lib/libold.so.1");
  CHECK(found(cache, "libold.so.1", 3, true) == "/lib/x86_64/libold.so.1");
  std::vector<elf::LdCacheEntry> noted{entry("libn.so.1", "/v2", "x86-64-v2"), entry("libn.so.1", "/plain")};
  noted[0].isa_level = 3;  // its note asks for more than its folder
  const elf::LdCache strict(*elf::LdCache::parse(elf::write_ld_cache(noted, "test")));
  CHECK(found(strict, "libn.so.1", 3) == "/plain");
  CHECK(found(strict, "libn.so.1", 4) == "/v2");
}

TEST_CASE("the new table is found behind an old one") {
  const std::string bytes = elf::write_ld_cache(sample(), "test");
  std::string old = "ld.so-1.7.0";
  old += '\0';
  old += std::string("\x01\0\0\0", 4) + std::string(12, '\0') + std::string(4, '\0');
  CHECK(old.size() % 8 == 0);
  const auto cache = elf::LdCache::parse(old + bytes);
  REQUIRE(cache);
  CHECK(cache->entries().size() == sample().size());
  CHECK_FALSE(elf::LdCache::parse("ld.so-1.7.0"));
  CHECK_FALSE(elf::LdCache::parse(""));
}

TEST_CASE("a damaged cache is an error or another cache, never a crash") {
  const std::string good = elf::write_ld_cache(sample(), "test");
  std::mt19937 noise(1);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes = good;
    for (int i = 0; i < 3; ++i) bytes[noise() % bytes.size()] = static_cast<char>(noise());
    if (round % 4 == 0) bytes.resize(noise() % bytes.size());
    const auto cache = elf::LdCache::parse(bytes);
    if (cache) cache->lookup("liba.so.1", {});
  }
}

TEST_CASE("ld.so.conf with what it includes") {
  test::RootTree root;
  root.file("/etc/ld.so.conf",
            "# comment\n  /first/ \ninclude ld.so.conf.d/*.conf\nhwcap 0 nosegneg\n/last=libc6\n/first\n");
  root.file("/etc/ld.so.conf.d/b.conf", "/b\tb\n");
  root.file("/etc/ld.so.conf.d/a.conf", "/a # end\ninclude /etc/more/[xy].inc\nrelative\n");
  root.file("/etc/ld.so.conf.d/.hidden.conf", "/hidden\n");
  root.file("/etc/ld.so.conf.d/c.txt", "/c\n");
  root.link("/etc/more/x.inc", "/etc/target");
  root.file("/etc/target", "/x");
  root.link("/etc/more/y.inc", "nowhere");
  const auto directories = elf::read_ld_conf(root.tree());
  REQUIRE(directories);
  CHECK(*directories == Names{"/first", "/a", "/x", "/b\tb", "/last"});
  CHECK(elf::read_ld_conf(test::RootTree().tree())->empty());
}

TEST_CASE("files that include one another end") {
  test::RootTree root;
  root.file("/etc/ld.so.conf", "/a\ninclude *.conf\ninclude */*/*/*/*/*/*/*/*/*/*/*/*/x\n");
  root.file("/etc/other.conf", "/b\ninclude *.conf\n");
  root.link("/etc/loop", ".");
  root.link("/etc/again", ".");
  const auto directories = elf::read_ld_conf(root.tree());
  REQUIRE(directories);
  CHECK(*directories == Names{"/a", "/b"});
}

TEST_CASE("of entries that are alike the first counts") {
  const std::vector<elf::LdCacheEntry> entries{entry("liba.so.1", "/z/liba.so.1"),
                                               entry("liba.so.1", "/a/liba.so.1")};
  const auto cache = elf::LdCache::parse(elf::write_ld_cache(entries, "test"));
  REQUIRE(cache);
  CHECK(found(*cache, "liba.so.1", 3) == "/z/liba.so.1");
}

// What ldconfig writes and the loader searches by bisection; char has a sign on x86_64, and none on aarch64.
TEST_CASE("names of bytes above 127 come where the loader of x86_64 looks for them") {
  std::vector<elf::LdCacheEntry> entries;
  for (const std::string name : {"libabc.so.1", "lib\xc3\xa9.so.1", "libzz.so.1", "lib0x.so.1"})
    entries.push_back(entry(name, "/lib/" + name));
  const auto cache = elf::LdCache::parse(elf::write_ld_cache(entries, "test"));
  REQUIRE(cache);
  Names names;
  for (const elf::LdCacheEntry& one : cache->entries()) names.push_back(one.name);
  CHECK(names == Names{"lib0x.so.1", "libzz.so.1", "libabc.so.1", "lib\xc3\xa9.so.1"});
  CHECK(elf::compare_library_names("lib", "lib\xc3\xa9") > 0);
}
