#include "package/unpacked_cache.hpp"

#include "support/deb_writer.hpp"
#include "support/temp_dir.hpp"
#include "sys/file.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>

#include <string>

using orch::package::unpacked_package;
using orch::package::UnpackedPackage;
using orch::package::UnpackPlace;
using orch::test::deb_bytes;
using orch::test::TempDir;

namespace {

struct Kept {
  TempDir dir;
  std::string bytes = deb_bytes({{"usr/", 'd', 0755, ""},
                                 {"usr/a", 'f', 0644, "first"},
                                 {"usr/b", 'f', 0755, "second"},
                                 {"usr/c", 'h', 0644, "usr/a"},
                                 {"usr/l", 'l', 0777, "a"},
                                 {"dev/x", 'c', 0600, ""}});
  orch::hash::Sha256 digest = orch::hash::sha256_of(bytes);
  int calls = 0;

  Kept() { dir.write("a.deb", bytes); }
  UnpackedPackage get() {
    const UnpackPlace place{dir / "cache", dir / ("scratch-" + std::to_string(calls++))};
    auto result = unpacked_package(digest, dir / "a.deb", place);
    if (!result) FAIL(orch::base::render(result.error()));
    return *std::move(result);
  }
};

}  // namespace

TEST_SUITE("package/unpacked_cache") {
  TEST_CASE("a package is unpacked once, and then found with all that was known of it") {
    Kept kept;
    const UnpackedPackage first = kept.get();
    const UnpackedPackage second = kept.get();
    CHECK_FALSE(first.was_kept);
    CHECK(second.was_kept);
    CHECK(second.directory == kept.dir / ("cache/" + kept.digest.hex()));
    CHECK(orch::package::encode_listing(first.entries) == orch::package::encode_listing(second.entries));
    REQUIRE(second.entries.size() == 6);
    CHECK(second.entries[2].entry.path == "usr/b");
    CHECK(second.entries[2].entry.mode == 0755);
    CHECK(orch::sys::read_file(second.directory + "/1").value() == "second");
    CHECK(second.entries[5].entry.special == orch::image::NodeType::char_device);
  }

  TEST_CASE("what was damaged is noticed and made again") {
    for (const char* how : {"content", "mode", "missing", "listing", "link", "empty"}) {
      Kept kept;
      const std::string place = kept.get().directory;
      const std::string file = place + "/0";
      const std::string damage = how;
      if (damage == "content") {
        ::chmod(file.c_str(), 0644);
        kept.dir.write("cache/" + kept.digest.hex() + "/0", "FIRST");
      }
      if (damage == "mode") ::chmod(file.c_str(), 0600);
      if (damage == "missing") REQUIRE(orch::sys::remove_tree(file).has_value());
      if (damage == "listing") kept.dir.write("cache/" + kept.digest.hex() + "/listing", "torn");
      if (damage == "link") {
        kept.dir.write("other", "first");
        REQUIRE(orch::sys::remove_tree(file).has_value());
        REQUIRE(::symlink((kept.dir / "other").c_str(), file.c_str()) == 0);
      }
      if (damage == "empty") {
        REQUIRE(orch::sys::remove_tree(place).has_value());
        REQUIRE(orch::sys::make_dirs(place).has_value());
      }
      const UnpackedPackage again = kept.get();
      CHECK_MESSAGE(again.damaged, how);
      CHECK_FALSE(again.was_kept);
      CHECK(again.directory == place);
      CHECK(orch::sys::read_file(file).value() == "first");
      CHECK(kept.get().was_kept);
    }
  }

  TEST_CASE("a package that is taken at its word can be asked for later") {
    Kept kept;
    const std::string place = kept.get().directory;
    const UnpackPlace trusting{kept.dir / "cache", kept.dir / "t", orch::package::KeptPackages::trust};
    auto found = unpacked_package(kept.digest, kept.dir / "a.deb", trusting);
    REQUIRE(found.has_value());
    CHECK(orch::package::is_sound(*found));
    ::chmod((place + "/1").c_str(), 0644);
    found = unpacked_package(kept.digest, kept.dir / "a.deb", trusting);
    REQUIRE(found.has_value());
    CHECK(found->was_kept);
    CHECK_FALSE(orch::package::is_sound(*found));
    REQUIRE(orch::sys::remove_tree(place + "/listing").has_value());
    found = unpacked_package(kept.digest, kept.dir / "a.deb", trusting);
    REQUIRE(found.has_value());
    CHECK(found->damaged);
    CHECK(orch::package::is_sound(*found));
  }

  TEST_CASE("an archive that is not what the lock names is refused") {
    Kept kept;
    kept.dir.write("a.deb", kept.bytes + "x");
    const auto result =
        unpacked_package(kept.digest, kept.dir / "a.deb", {kept.dir / "cache", kept.dir / "s"});
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().what.find("is not what the lock file names: expected " + kept.digest.hex()) !=
          std::string::npos);
    CHECK_FALSE(orch::sys::exists(kept.dir / ("cache/" + kept.digest.hex())));
  }

  TEST_CASE("a broken archive leaves nothing in the cache") {
    Kept kept;
    kept.bytes.resize(kept.bytes.size() - 30);
    kept.digest = orch::hash::sha256_of(kept.bytes);
    kept.dir.write("a.deb", kept.bytes);
    CHECK_FALSE(
        unpacked_package(kept.digest, kept.dir / "a.deb", {kept.dir / "cache", kept.dir / "s"}).has_value());
    CHECK_FALSE(orch::sys::exists(kept.dir / ("cache/" + kept.digest.hex())));
  }

  TEST_CASE("a small archive that would fill the disk is refused") {
    Kept kept;
    const auto endless = [](const std::string&, const orch::package::EntryVisitor& visit) {
      orch::package::ArchiveEntry entry;
      entry.path = "usr/zeros";
      entry.kind = orch::package::EntryKind::file;
      entry.size = 1ULL << 40U;
      return visit(entry, [](char* buffer, std::size_t size) -> orch::base::Result<std::size_t> {
        std::fill_n(buffer, size, '\0');
        return size;
      });
    };
    const auto result = unpacked_package(kept.digest, kept.dir / "a.deb", {"", kept.dir / "s"}, endless);
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().what ==
          "it would be more than 200 times as large as its archive, which no package is");
    const auto crowd = [](const std::string&,
                          const orch::package::EntryVisitor& visit) -> orch::base::Result<> {
      orch::package::ArchiveEntry entry;
      entry.path = "usr/x";
      entry.kind = orch::package::EntryKind::directory;
      for (int i = 0; i < 2'000'000; ++i) ORCH_CHECK(visit(entry, {}));
      return {};
    };
    const auto many = unpacked_package(kept.digest, kept.dir / "a.deb", {"", kept.dir / "t"}, crowd);
    REQUIRE_FALSE(many.has_value());
    CHECK(many.error().what == "it has far more entries than an archive of its size should");
  }

  TEST_CASE("who comes second to the place uses what it made itself") {
    Kept kept;
    const std::string place = kept.get().directory;
    const UnpackPlace other{kept.dir / "cache2", kept.dir / "mine"};
    REQUIRE(orch::sys::make_dirs(kept.dir / "cache2").has_value());
    // Not a package, and not empty: rename(2) cannot replace it, and this caller must not.
    const auto read = [&](const std::string& archive, const orch::package::EntryVisitor& visit) {
      kept.dir.write("cache2/" + kept.digest.hex() + "/busy", "x");
      return orch::package::read_package(archive, visit);
    };
    const auto result = unpacked_package(kept.digest, kept.dir / "a.deb", other, read);
    REQUIRE(result.has_value());
    CHECK(result->directory == kept.dir / "mine");
    CHECK(orch::sys::read_file(result->directory + "/0").value() == "first");
  }

  TEST_CASE("a listing is read strictly") {
    Kept kept;
    const std::string sound = orch::package::encode_listing(kept.get().entries);
    CHECK(orch::package::decode_listing(sound).has_value());
    for (std::size_t cut = 0; cut < sound.size(); cut += 7)
      CHECK_FALSE(orch::package::decode_listing(sound.substr(0, cut)).has_value());
    for (std::size_t at = 0; at < sound.size(); at += 3) {
      std::string flipped = sound;
      flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
      CHECK_FALSE(orch::package::decode_listing(flipped).has_value());
    }
  }
}
