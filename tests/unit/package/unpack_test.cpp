#include "package/unpack.hpp"

#include "support/deb_writer.hpp"
#include "support/temp_dir.hpp"
#include "sys/file.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>

#include <string>
#include <vector>

using orch::package::LockedPackage;
using orch::package::unpack_packages;
using orch::package::UnpackOrder;
using orch::test::deb_bytes;
using orch::test::DebEntry;
using orch::test::TempDir;

namespace {

LockedPackage package(const std::string& name) {
  LockedPackage result;
  result.name = name;
  result.version = "1:1.0";
  result.architecture = "amd64";
  return result;
}

// Unpacks packages a, b, … with these archives below `dir`.
orch::base::Result<orch::package::UnpackedTree> unpack(
    const TempDir& dir, const std::vector<std::string>& archives, unsigned jobs = 1,
    const std::string& cache = {},
    orch::package::LayerClass layer_class = orch::package::LayerClass::base_refresh) {
  UnpackOrder order;
  order.cache = cache;
  order.archives = dir / "archives";
  order.scratch = dir / "scratch";
  order.tree = dir / "tree";
  order.jobs = jobs;
  order.rules.layer_class = layer_class;
  for (std::size_t i = 0; i < archives.size(); ++i) {
    order.packages.push_back(package(std::string("package-") + static_cast<char>('a' + i)));
    order.packages.back().sha256 = orch::hash::sha256_of(archives[i]);
    dir.write("archives/" + archive_file_name(order.packages.back()), archives[i]);
  }
  return unpack_packages(order);
}

std::string failure(const std::vector<std::string>& archives) {
  const TempDir dir;
  const auto result = unpack(dir, archives);
  CHECK_FALSE(orch::sys::exists(dir / "escaped"));
  return result ? "no error" : orch::base::one_line(result.error());
}

bool mentions(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_SUITE("package/unpack") {
  TEST_CASE("all compressors of Debian packages are read") {
    for (const char* filter : {"", "xz", "zstd", "gzip"}) {
      const TempDir dir;
      const std::string big(300000, 'q');
      const auto result =
          unpack(dir, {deb_bytes({{"./", 'd', 0755, ""}, {"./usr/share/x", 'f', 0644, big}}, filter)});
      REQUIRE_MESSAGE(result.has_value(), filter);
      CHECK(orch::sys::read_file(dir / "tree/usr/share/x").value() == big);
    }
  }

  TEST_CASE("modes, links and hard links survive, whatever the umask") {
    const TempDir dir;
    const mode_t mask = ::umask(077);
    const auto result = unpack(dir, {deb_bytes({{"./bin/", 'd', 0755, ""},
                                                {"./bin/tool", 'f', 0755, "run"},
                                                {"./bin/again", 'h', 0755, "./bin/tool"},
                                                {"./usr/link", 'l', 0777, "/nowhere"},
                                                {"./var/empty", 'd', 0711, ""}})});
    ::umask(mask);
    if (!result) FAIL(orch::base::render(result.error()));
    const auto tool = orch::sys::lstat_file(dir / "tree/usr/bin/tool").value();
    const auto again = orch::sys::lstat_file(dir / "tree/usr/bin/again").value();
    CHECK((tool.st_mode & 07777U) == 0755);
    CHECK(tool.st_ino == again.st_ino);
    CHECK((orch::sys::lstat_file(dir / "tree/var/empty").value().st_mode & 07777U) == 0711);
    CHECK((orch::sys::lstat_file(dir / "tree/var").value().st_mode & 07777U) == 0755);
    CHECK((orch::sys::lstat_file(dir / "tree").value().st_mode & 07777U) == 0755);
    CHECK(S_ISLNK(orch::sys::lstat_file(dir / "tree/usr/link").value().st_mode));
    // What was handed over is what a second look finds.
    auto seen = orch::hash::list_tree(dir / "tree", 1);
    REQUIRE(seen.has_value());
    seen->sort();
    CHECK(seen->digest() == result->listing.digest());
  }

  TEST_CASE("the tree does not depend on the number of threads") {
    std::vector<std::string> archives;
    for (int i = 0; i < 8; ++i)
      archives.push_back(deb_bytes(
          {{"./usr/same", 'f', 0644, std::to_string(i)}, {"./usr/own" + std::to_string(i), 'f', 0644, "y"}}));
    const TempDir one;
    const TempDir many;
    const auto first = unpack(one, archives, 1);
    const auto second = unpack(many, archives, 4);
    REQUIRE(first.has_value());
    REQUIRE(second.has_value());
    CHECK(first->listing.digest() == second->listing.digest());
    CHECK(orch::sys::read_file(many / "tree/usr/same").value() == "7");
    CHECK(first->notes.size() == 7);
  }

  TEST_CASE("names that would leave the tree are refused, and nothing is written outside") {
    CHECK(mentions(failure({deb_bytes({{"../escaped", 'f', 0644, "x"}})}),
                   "the archive has a name with '..': '../escaped'"));
    CHECK(mentions(failure({deb_bytes({{"usr/../../escaped", 'f', 0644, "x"}})}), "a name with '..'"));
    CHECK(mentions(failure({deb_bytes({{"/tmp/escaped", 'f', 0644, "x"}})}),
                   "the absolute name '/tmp/escaped'"));
    CHECK(mentions(failure({deb_bytes({{"usr/x", 'h', 0644, "../../escaped"}})}), "a name with '..'"));
    CHECK(mentions(failure({deb_bytes({{"usr/x", 'h', 0644, "/etc/passwd"}})}), "the absolute name"));
  }

  TEST_CASE("a symlink out of the tree is kept as text and never written through") {
    const TempDir dir;
    dir.write("outside/keep", "");
    const auto result = unpack(
        dir, {deb_bytes({{"usr/evil", 'l', 0777, dir / "outside"}, {"usr/evil/planted", 'f', 0644, "x"}}),
              deb_bytes({{"usr/evil/second", 'f', 0644, "x"}})});
    REQUIRE(result.has_value());
    CHECK_FALSE(orch::sys::exists(dir / "outside/planted"));
    CHECK_FALSE(orch::sys::exists(dir / "outside/second"));
    CHECK(orch::sys::exists((dir / "tree") + (dir / "outside/second")));
  }

  TEST_CASE("a base has no absolute links to directories") {
    const std::vector<DebEntry> entries = {{"etc/ssl/certs/", 'd', 0755, ""},
                                           {"etc/ssl/file", 'f', 0644, "x"},
                                           {"usr/lib/ssl/certs", 'l', 0777, "//etc/ssl/certs"},
                                           {"usr/lib/ssl/root", 'l', 0777, "/"},
                                           {"usr/lib/ssl/file", 'l', 0777, "/etc/ssl/file"},
                                           {"usr/lib/ssl/none", 'l', 0777, "/nowhere"}};
    const TempDir dir;
    const auto result = unpack(dir, {deb_bytes(entries)}, 1, {}, orch::package::LayerClass::base);
    REQUIRE(result.has_value());
    std::string targets;
    for (const auto& entry : result->listing.entries)
      if (entry.path.starts_with("usr/lib/ssl/")) targets += entry.target + " ";
    CHECK(targets == "../../../etc/ssl/certs /etc/ssl/file /nowhere ../../../. ");
    CHECK(result->notes.size() == 2);
    CHECK(orch::sys::exists(dir / "tree/usr/lib/ssl/certs/."));
    const TempDir other;
    const auto refresh = unpack(other, {deb_bytes(entries)});
    REQUIRE(refresh.has_value());
    CHECK(refresh->notes.empty());
  }

  TEST_CASE("kept packages give the same tree, and one that changed is the only one unpacked") {
    const TempDir dir;
    const std::string cache = dir / "cache";
    const auto one = deb_bytes({{"usr/a", 'f', 0640, "a"}, {"usr/b", 'h', 0640, "usr/a"}});
    const auto two = deb_bytes({{"usr/c", 'f', 0755, "c"}});
    const TempDir first;
    const TempDir second;
    const auto made = unpack(first, {one, two}, 2, cache);
    const auto again = unpack(second, {one, two}, 2, cache);
    REQUIRE(made.has_value());
    REQUIRE(again.has_value());
    CHECK(made->listing.digest() == again->listing.digest());
    auto seen = orch::hash::list_tree(second / "tree", 1);
    REQUIRE(seen.has_value());
    CHECK(seen->digest() == made->listing.digest());
    CHECK(orch::sys::list_dir(cache)->size() == 2);
    CHECK_FALSE(orch::sys::exists(second / "scratch/package-0"));
    const TempDir third;
    REQUIRE(unpack(third, {one, deb_bytes({{"usr/c", 'f', 0755, "new"}})}, 2, cache).has_value());
    CHECK_FALSE(orch::sys::exists(third / "scratch/package-0"));
    CHECK(orch::sys::read_file(third / "tree/usr/c").value() == "new");
    CHECK(orch::sys::list_dir(cache)->size() == 3);
  }

  TEST_CASE("errors name the package") {
    CHECK(mentions(failure({deb_bytes({{"usr/x", 'f', 0644, "x"}}), deb_bytes({{"../x", 'f', 0644, "x"}})}),
                   "'package-b' 1:1.0"));
  }

  TEST_CASE("archives that are none, or cut short, are errors") {
    const std::string sound = deb_bytes({{"usr/x", 'f', 0644, std::string(200000, 'x')}}, "gzip");
    CHECK(mentions(failure({"no archive"}), "is neither a Debian nor an RPM package"));
    CHECK(mentions(failure({""}), "is neither a Debian nor an RPM package"));
    CHECK(mentions(failure({sound.substr(0, sound.size() - 40)}), "is no sound Debian package"));
    CHECK(mentions(failure({sound.substr(0, 70)}), "is no sound Debian package"));
    CHECK(mentions(failure({"!<arch>\n"}), "is no sound Debian package"));
    CHECK(mentions(failure({deb_bytes({}, "xz", "3.0\n")}), "has Debian package format 3.0, expected 2.0"));
  }
}
