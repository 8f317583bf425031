// dnf's command lines and what it prints. Of dnf 4 the text is what Debian 12's prints; of dnf 5 it follows its sources
// (libdnf5-cli/output/transaction_table.cpp) and has not been seen in the flesh.
#include "package/dnf_output.hpp"
#include "package/dnf_root.hpp"
#include "package/dnf_source.hpp"
#include "package/rpm_metadata.hpp"
#include "package/rpm_version.hpp"
#include "support/golden.hpp"
#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <string>

using orch::package::compare_rpm_versions;
using orch::package::parse_transaction;
using orch::package::PrimaryReader;
using orch::package::RpmMetadata;
using orch::package::RpmName;
using orch::package::Source;

namespace {

Source fedora() {
  Source source;
  source.name = "fedora";
  source.kind = orch::package::SourceKind::dnf;
  source.uris = {"https://h/os"};
  source.metalinks = {"https://m/metalink?repo=fedora-42&arch=x86_64", "https://m/x",
                      "https://m/y?repo=fedora-42"};
  source.signed_by = "/etc/pki/key";
  source.release = "42";
  return source;
}

std::string lines_of(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += word + "\n";
  return out;
}

constexpr std::string_view k_primary =
    "<?xml version=\"1.0\"?>\n<metadata packages=\"1\">\n<package type=\"rpm\">\n<name>a&amp;b</name>"
    "<arch>x86_64</arch><version epoch=\"1\" ver=\"2.0\" rel=\"3\"/>"
    "<checksum type=\"sha256\" pkgid=\"YES\">00ff</checksum><size package=\"77\" installed='1'/>"
    "<location href=\"Packages/a.rpm\"/><format><rpm:provides><rpm:entry name=\"liba.so.1()(64bit)\"/>"
    "</rpm:provides><rpm:requires><rpm:entry name=\"/bin/sh\"/></rpm:requires><rpm:recommends>"
    "<rpm:entry "
    "name=\"not-needed\"/></rpm:recommends><file>/usr/bin/&#97;</file></format></package></metadata>\n";

}  // namespace

TEST_SUITE("package/dnf") {
  TEST_CASE("configuration and command lines are these") {
    for (const int generation : {4, 5}) {
      const std::string name = "dnf/dnf" + std::to_string(generation);
      orch::test::check_golden(
          name + ".conf", orch::package::dnf_configuration(fedora(), generation, "/cache/dnf/0 0/keys.asc"));
      std::vector<std::string> install = {"install", "--assumeno", "bash"};
      if (generation == 4) install.insert(install.begin(), "--verbose");
      orch::test::check_golden(name + "-install.argv", lines_of(orch::package::dnf_command_line(
                                                           "/usr/bin/dnf", "/cache/dnf/00", "42", install)));
    }
    Source unsigned_source = fedora();
    unsigned_source.allow_unsigned = true;
    unsigned_source.signed_by.clear();
    const std::string text = orch::package::dnf_configuration(unsigned_source, 4, "/k");
    CHECK(text.find("\ngpgcheck=0\n") != std::string::npos);
    CHECK(text.find("gpgkey") == std::string::npos);
  }

  TEST_CASE("what dnf 4 is going to install is read") {
    const auto found = parse_transaction(4,
                                         "DNF version: 4.14.0\n--> Starting dependency resolution\n---> "
                                         "Package lab-app.x86_64 1.0-1.fc42 will be "
                                         "installed\n---> Package python3.11.noarch 1:1.0~rc1-2.fc42 will be "
                                         "installed\n--> Finished dependency "
                                         "resolution\nDependencies resolved.\n");
    REQUIRE(found.has_value());
    CHECK(*found == std::vector<RpmName>{{"lab-app", "1.0-1.fc42", "x86_64"},
                                         {"python3.11", "1:1.0~rc1-2.fc42", "noarch"}});
    CHECK(parse_transaction(4, "---> Package x.i686 1-1 will be installed\n").error().what ==
          "dnf printed a line that is not understood: '---> Package x.i686 1-1 will be installed'");
    CHECK_FALSE(parse_transaction(4, "---> Package x.x86_64 1-1 will be erased\n").has_value());
    CHECK_FALSE(parse_transaction(4, "---> Package --x.x86_64 1-1 will be installed\n").has_value());
    CHECK(parse_transaction(4, "Nothing to do.\n").value().empty());
  }

  TEST_CASE("what dnf 5 is going to install is read") {
    const auto found =
        parse_transaction(5,
                          "Package      Arch   Version       Repository      Size\nInstalling:\n lab-app     "
                          "x86_64 0:1.0-1.fc42  lab   "
                          "   10.0   B\nInstalling dependencies:\n lab-lib     x86_64 1:1.0-2.fc42  lab      "
                          "3.0   B\n\nTransaction "
                          "Summary:\n Installing:        2 packages\n\nOperation aborted by the user.\n");
    REQUIRE(found.has_value());
    CHECK(*found ==
          std::vector<RpmName>{{"lab-app", "1.0-1.fc42", "x86_64"}, {"lab-lib", "1:1.0-2.fc42", "x86_64"}});
    CHECK(parse_transaction(5, "Nothing to do.\n").value().empty());
    CHECK(parse_transaction(5, "Package Arch Version Repository Size\nInstalling:\n x\n").error().what ==
          "dnf printed a line that is not understood: ' x'");
  }

  TEST_CASE("generations and complaints are read") {
    using orch::package::dnf_generation;
    CHECK(dnf_generation("4.14.0\n  Installed: dnf-0\n") == 4);
    CHECK(dnf_generation("dnf5 version 5.2.8.1\ndnf5 plugin API version 2.0\n") == 5);
    CHECK_FALSE(dnf_generation("yum 3.2\n").has_value());
    CHECK(orch::package::unmatched_names("Error: Unable to find a match: a b\n") ==
          std::vector<std::string>{"a", "b"});
    CHECK(orch::package::unmatched_names("No match for argument: a\n") == std::vector<std::string>{"a"});
    CHECK(orch::package::dnf_complaint(
              "Error: \n Problem: \x1b[1mx\nOperation aborted.\n(try to add '--skip-broken')\n") ==
          "Problem: \\x1b[1mx");
  }

  TEST_CASE("a package list is read, however it is cut into pieces") {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, k_primary.size()}) {
      std::vector<RpmMetadata> found;
      PrimaryReader reader("p", [&](const RpmMetadata& package) -> orch::base::Result<> {
        found.push_back(package);
        return {};
      });
      for (std::size_t at = 0; at < k_primary.size(); at += piece)
        REQUIRE(reader.feed(k_primary.substr(at, piece)).has_value());
      REQUIRE(reader.finish().has_value());
      REQUIRE(found.size() == 1);
      CHECK(found[0].name == "a&b");
      CHECK(found[0].version == "1:2.0-3");
      CHECK(found[0].checksum == "00ff");
      CHECK(found[0].size == 77);
      CHECK(found[0].location == "Packages/a.rpm");
      CHECK(found[0].provides == std::vector<std::string>{"liba.so.1()(64bit)"});
      CHECK(found[0].requirements == std::vector<std::string>{"/bin/sh"});
      CHECK(found[0].files == std::vector<std::string>{"/usr/bin/a"});
    }
  }

  TEST_CASE("a package list that is cut short or something else is refused by name") {
    const orch::test::TempDir dir;
    const auto none = [](const RpmMetadata&) -> orch::base::Result<> { return {}; };
    const std::string half(k_primary.substr(0, k_primary.size() / 2));
    CHECK(orch::package::read_primary(dir.write("half.xml", half), none)
              .error()
              .what.find("it ends in the middle") != std::string::npos);
    CHECK(orch::package::read_primary(dir.write("html", "<html></html>"), none)
              .error()
              .what.find("does not begin") != std::string::npos);
    PrimaryReader reader("p", none);
    orch::base::Result<> fed;
    for (int i = 0; i < 40 && fed; ++i) fed = reader.feed(std::string(65536, 'x'));
    CHECK(fed.error().what.find("a text that does not end") != std::string::npos);
  }

  TEST_CASE("RPM's order of versions") {
    for (const auto& pair : std::vector<std::pair<const char*, const char*>>{{"1.0-1", "1.0-2"},
                                                                             {"1.9-1", "1.10-1"},
                                                                             {"1.0~rc1-1", "1.0-1"},
                                                                             {"1.0-1", "1.0^git1-1"},
                                                                             {"1.0^git1-1", "1.0.1-1"},
                                                                             {"9-1", "1:1-1"},
                                                                             {"1.a-1", "1.1-1"},
                                                                             {"1.0-1", "1.0a-1"},
                                                                             {"2.0-1.fc41", "2.0-1.fc42"}}) {
      CHECK_MESSAGE(compare_rpm_versions(pair.first, pair.second) < 0, pair.first, " ", pair.second);
      CHECK_MESSAGE(compare_rpm_versions(pair.second, pair.first) > 0, pair.first, " ", pair.second);
    }
    CHECK(compare_rpm_versions("1.05-1", "1.5-1") == 0);
    CHECK(compare_rpm_versions("0:1-1", "1-1") == 0);
  }

  TEST_CASE("who needs whom is told by capabilities and files") {
    RpmMetadata app;
    app.requirements = {"libx.so.1()(64bit)", "/usr/bin/sh", "rpmlib(X)", "(a if b)"};
    RpmMetadata library;
    library.provides = {"libx.so.1()(64bit)"};
    RpmMetadata shell;
    shell.files = {"/usr/bin/sh"};
    const auto indices = orch::package::requirement_indices({app, library, shell});
    CHECK(indices[0] == std::vector<std::size_t>{1, 2});
    CHECK(indices[1].empty());
  }
}
