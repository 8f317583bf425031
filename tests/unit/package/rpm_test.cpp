// An RPM of the test's own, header and payload by hand: what rpmbuild makes is in
// tests/integration/test_rpm_source.py.
#include "package/rpm.hpp"

#include "package/deb.hpp"
#include "package/entry_bound.hpp"
#include "support/deb_writer.hpp"
#include "support/one_in.hpp"
#include "support/rpm_writer.hpp"
#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <cstdio>
#include <map>
#include <string>

using orch::package::ArchiveEntry;
using orch::package::ContentReader;
using orch::package::EntryKind;
using orch::package::read_rpm;
using orch::package::read_rpm_header;
using orch::test::rpm_bytes;
using orch::test::RpmFile;
using orch::test::RpmText;
using orch::test::TempDir;

namespace {

// "KIND PATH TARGET CONTENT" of each entry, in order.
std::vector<std::string> listing(const std::string& path) {
  std::vector<std::string> found;
  const auto done = orch::package::read_package(
      path, [&](const ArchiveEntry& entry, const ContentReader& content) -> orch::base::Result<> {
        std::string text;
        char buffer[7];
        while (entry.kind == EntryKind::file) {
          ORCH_TRY(const std::size_t count, content(buffer, sizeof buffer));
          if (count == 0) break;
          text.append(buffer, count);
        }
        found.push_back(std::to_string(static_cast<int>(entry.kind)) + " " + entry.path + " " + entry.target +
                        " " + text);
        return {};
      });
  if (!done) found.push_back("error: " + done.error().what);
  return found;
}

}  // namespace

TEST_SUITE("package/rpm") {
  TEST_CASE("header fields are read") {
    const TempDir dir;
    RpmText text;
    text.epoch = 3;
    text.requirements = {"libc.so.6()(64bit)", "(a if b)"};
    text.provides = {"x", "libx.so.1()(64bit)"};
    dir.write("x.rpm", rpm_bytes(text, {}));
    const auto header = read_rpm_header(dir / "x.rpm");
    if (!header) FAIL(orch::base::render(header.error()));
    CHECK(header->name == "x");
    CHECK(header->version == "3:1.0-2.fc42");
    CHECK(header->architecture == "x86_64");
    CHECK(header->license == "MIT");
    REQUIRE(header->requires_list.size() == 2);
    CHECK(header->requires_list[1].name == "(a if b)");
    CHECK(header->provides.at(1).name == "libx.so.1()(64bit)");
    CHECK(header->files.empty());
    dir.write("y.rpm", rpm_bytes({}, {{"./usr/bin/y", 0100755, "y", 1, 3}, {"./etc/y", 0100644, "", 1, 4}}));
    CHECK(read_rpm_header(dir / "y.rpm").value().files == std::vector<std::string>{"/usr/bin/y", "/etc/y"});
    CHECK_FALSE(header->has_signature);
  }

  TEST_CASE("entries are read; the names of one file come together, content first") {
    const TempDir dir;
    dir.write("x.rpm", rpm_bytes({}, {{"./usr", 040755, "", 1, 2},
                                      {"./usr/a", 0100644, "", 2, 7},
                                      {"./usr/l", 0120777, "a", 1, 3},
                                      {"./usr/z", 0100644, "content of both", 2, 7},
                                      {"./usr/e1", 0100644, "", 2, 9},
                                      {"./usr/e2", 0100644, "", 2, 9}}));
    CHECK(listing(dir / "x.rpm") ==
          std::vector<std::string>{"1 ./usr  ", "2 ./usr/l a ", "0 ./usr/z  content of both",
                                   "3 ./usr/a ./usr/z ", "0 ./usr/e1  ", "3 ./usr/e2 ./usr/e1 "});
  }

  TEST_CASE("what is damaged, or something else, is refused by name") {
    const TempDir dir;
    const std::string whole = rpm_bytes({}, {{"./usr/a", 0100644, std::string(3000, 'q'), 1, 7}});
    CHECK(
        read_rpm_header(dir.write("short.rpm", whole.substr(0, 200))).error().what.find("it is cut short") !=
        std::string::npos);
    CHECK(listing(dir.write("tail.rpm", whole.substr(0, whole.size() - 1500))).back().find("error: ") == 0);
    std::string source = whole;
    source[7] = 1;
    CHECK(read_rpm_header(dir.write("x.src.rpm", source)).error().what.find("is a source package") !=
          std::string::npos);
    std::string huge = whole;
    huge[96 + 8] = 0x7f;
    CHECK(read_rpm_header(dir.write("huge.rpm", huge)).error().what.find("larger than any can be") !=
          std::string::npos);
    CHECK(listing(dir.write("text", "hello")).back().find("is neither a Debian nor an RPM package") !=
          std::string::npos);
  }

  TEST_CASE("files of 4 GiB and more are not read, which is no damage") {
    const TempDir dir;
    std::string large = rpm_bytes({}, {{"./usr/a", 0100644, "a", 1, 7}});
    large.replace(large.find("070701"), 6, "07070X");
    dir.write("large.rpm", large);
    const auto refused = read_rpm(
        dir / "large.rpm", [](const ArchiveEntry&, const ContentReader&) { return orch::base::Result<>(); });
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().kind == orch::base::ErrorKind::unsupported);
    CHECK(refused.error().what == "the RPM package '" + dir / "large.rpm" +
                                      "' cannot be used: it has files of 4 GiB and more, which are not read");
    CHECK(refused.error().hint.find("leave the package out") == 0);
  }

  TEST_CASE("many files with several names cost no more than others") {
    // Of each file one name is missing: a reader that looks through all of them at each would need hours.
    std::vector<RpmFile> files;
    for (unsigned i = 0; i < 200000 / orch::test::one_in(); ++i)
      files.push_back({"./f" + std::to_string(i), 0100644, "", 2, i + 1});
    const TempDir dir;
    dir.write("x.rpm", rpm_bytes({}, files));
    std::size_t seen = 0;
    const auto done = read_rpm(dir / "x.rpm", [&](const ArchiveEntry&, const ContentReader&) {
      ++seen;
      return orch::base::Result<>();
    });
    CHECK(done.has_value());
    CHECK(seen == files.size());
  }

  TEST_CASE("entries and their names are bounded") {
    orch::package::EntryBound bound;
    ArchiveEntry entry;
    for (std::uint64_t i = 0; i < orch::package::k_most_entries; ++i) REQUIRE(bound.add(entry).empty());
    CHECK(bound.add(entry) == "it has more than 524288 entries, which no package has");
    orch::package::EntryBound names;
    entry.path = entry.target = std::string(1U << 20U, 'x');
    for (int i = 0; i < 128; ++i) CHECK(names.add(entry).empty());
    CHECK(names.add(entry).starts_with("its names take more than 256 MiB"));
  }

  TEST_CASE("a damaged payload is refused, by what is wrong with it") {
    const TempDir dir;
    const auto refused = [&](const std::string& head, const std::string& rest = "") {
      std::string bytes = rpm_bytes({}, {});
      const std::size_t payload = bytes.find("070701");
      dir.write("x.rpm", bytes.substr(0, payload) + head + rest);
      const auto found = listing(dir / "x.rpm");
      return found.empty() ? std::string() : found.back();
    };
    // 13 numbers: inode, mode, uid, gid, links, mtime, size, 4 of devices, name, sum
    const auto head = [](unsigned mode, unsigned size, unsigned name, const char* magic = "070701") {
      char text[111];
      std::snprintf(text, sizeof text, "%s%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", magic, 1U,
                    mode, 0U, 0U, 1U, 0U, size, 0U, 0U, 0U, 0U, name, 0U);
      return std::string(text, 110);
    };
    CHECK(refused(head(0100644, 5, 2), std::string("a\0hel", 5)).find("ends in the middle") !=
          std::string::npos);
    CHECK(refused(head(0100644, 0, 5000)).find("longer than any can be") != std::string::npos);
    CHECK(refused(head(0120777, 5000, 2), std::string("a\0", 2)).find("longer than any") !=
          std::string::npos);
    CHECK(refused(head(0100644, 0, 4), std::string("a\0b\0", 4)).find("a damaged one") != std::string::npos);
    CHECK(refused(head(0100644, 0, 1), std::string("\0", 1)).find("without a name") != std::string::npos);
    CHECK(refused(head(0100644, 0, 2, "07070X")).find("4 GiB and more") != std::string::npos);
    CHECK(refused(head(0100644, 0, 2, "070702"), std::string("a\0", 2)).find("ends in the middle") !=
          std::string::npos);
    CHECK(refused(std::string(110, '0')).find("no entry where one must be") != std::string::npos);
    std::string bad = head(0100644, 0, 2);
    bad[20] = 'g';
    CHECK(refused(bad).find("an entry of its payload is damaged") != std::string::npos);
    const std::string end = head(0, 0, 11) + std::string("TRAILER!!!\0\0\0\0", 14);
    CHECK(refused(end, std::string(512, '\0')).find("error") == std::string::npos);
    CHECK(refused(end, std::string((1U << 20U) + 20000, '\0')).find("goes on behind its end") !=
          std::string::npos);
  }

  TEST_CASE("every single byte may be wrong") {
    const TempDir dir;
    const std::string whole = rpm_bytes({}, {{"./usr/a", 0100644, "text", 1, 7}});
    for (std::size_t i = 0; i < whole.size(); ++i) {
      std::string broken = whole;
      broken[i] = static_cast<char>(broken[i] ^ 0x81);
      dir.write("x.rpm", broken);
      (void)read_rpm_header(dir / "x.rpm");
      (void)listing(dir / "x.rpm");
    }
  }

  TEST_CASE("a .deb is told by its first bytes") {
    const TempDir dir;
    dir.write("x", orch::test::deb_bytes({{"./usr/x", 'f', 0644, "x"}}));
    CHECK(listing(dir / "x") == std::vector<std::string>{"0 ./usr/x  x"});
  }
}
