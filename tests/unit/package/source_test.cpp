#include "package/source.hpp"

#include "format/toml.hpp"
#include "package/apt_entries.hpp"
#include "package/apt_output.hpp"

#include <doctest/doctest.h>

#include <string>

using orch::base::Value;
using orch::package::amd64_list_entries;
using orch::package::amd64_sources_entries;
using orch::package::source_from_value;

namespace {

std::string source_error(const std::string& text) {
  const auto table = orch::format::parse_toml_text("p.toml", text);
  const auto source = source_from_value("mine", table.value());
  return source ? "no error" : source.error().what;
}

}  // namespace

TEST_SUITE("package/source") {
  TEST_CASE("'auto' is the host, other names need a table") {
    CHECK(source_from_value("auto", Value()).value().host);
    CHECK(source_from_value("mine", Value()).error().what == "there is no source 'mine'");
  }

  TEST_CASE("an apt source is whole, or says what is missing") {
    CHECK(source_error("kind = 'apt'\nuris = ['http://a/x']\nsuites = ['s']\ncomponents = ['main']") ==
          "no error");
    CHECK(source_error("kind = 'apt'\nuris = ['file:/srv/x']\nsuites = ['./']\ntrusted = true") ==
          "no error");
    CHECK(source_error("kind = 'apt'\nuris = ['http://a']") == "source 'mine' needs uris and suites");
    CHECK(source_error("kind = 'apt'\nuris = ['http://a']\nsuites = ['s']") ==
          "source 'mine' needs components");
    CHECK(source_error("kind = 'apt'\nuris = ['http://a']\nsuites = ['s']\ncomponents = ['a b']") ==
          "'components' of source 'mine' must hold words without spaces");
    CHECK(source_error("kind = 'apt'\nhost = true\nsuites = ['s']").find("has host = true") !=
          std::string::npos);
    CHECK(source_error("kind = 'zip'") == "source 'mine' has the unknown kind 'zip'");
    CHECK(source_error("kind = 'apt'\nhost = 'yes'") ==
          "'host' of source 'mine' must be a boolean, found string");
  }

  TEST_CASE("a source's identity says what is resolved, not where its key lies") {
    const auto identity = [](const std::string& text) {
      return source_from_value("mine", orch::format::parse_toml_text("p", text).value()).value().identity();
    };
    const std::string plain = "kind = 'apt'\nuris = ['http://a']\nsuites = ['s']\ncomponents = ['main']\n";
    CHECK(identity(plain) == identity(plain + "signed_by = '/home/x/key.gpg'\ndescription = 'd'\n"));
    CHECK(identity(plain) != identity(plain + "trusted = true\n"));
    const std::string dnf = "kind = 'dnf'\nsigned_by = '/k'\n";
    CHECK(identity(dnf + "metalinks = ['m']\n") != identity(dnf + "metalinks = ['n']\n"));
    CHECK(identity("kind = 'dir'\npath = '/a'") == identity("kind = 'dir'\npath = '/b'"));
  }

  TEST_CASE("the host serves amd64 on Debian, and on x86_64 of its family") {
    using orch::package::check_host_serves_amd64;
    CHECK(check_host_serves_amd64("ID=debian\n", "aarch64").has_value());
    CHECK(check_host_serves_amd64("ID=ubuntu\nID_LIKE=debian\n", "x86_64").has_value());
    CHECK_FALSE(check_host_serves_amd64("ID=ubuntu\nID_LIKE=debian\n", "aarch64").has_value());
    CHECK_FALSE(check_host_serves_amd64("ID=\"fedora\"\n", "x86_64").has_value());
  }

  TEST_CASE("entries that do not serve amd64 are left out") {
    CHECK(
        amd64_list_entries(
            "# c\ndeb http://a s main # x\ndeb-src http://a s main\ndeb [arch=arm64] http://b s main\n"
            "deb [ arch=arm64,amd64 signed-by=/k ] http://c s main\ndeb [arch=i386 http://broken s main\n") ==
        "deb http://a s main\ndeb [signed-by=/k] http://c s main\n");
    CHECK(
        amd64_sources_entries(
            "Types: deb deb-src\nURIs: http://a\nSuites: s\n t\nComponents: main\nArchitectures: amd64 i386\n"
            "\n# only arm\nTypes: deb\nURIs: http://b\nSuites: s\nComponents: main\nArchitectures: arm64\n"
            "\nTypes: deb-src\nURIs: http://c\nSuites: s\nComponents: main\n"
            "\nEnabled: no\nTypes: deb\nURIs: http://d\nSuites: s\nComponents: main\n") ==
        "Types: deb\nURIs: http://a\nSuites: s\n t\nComponents: main\n\n");
    CHECK(orch::package::is_apt_entry_file("a.sources", ".sources"));
    CHECK_FALSE(orch::package::is_apt_entry_file("a.sources.disabled", ".sources"));
    CHECK_FALSE(orch::package::is_apt_entry_file("a b.list", ".list"));
  }

  TEST_CASE("what apt prints is read, and what it should not print is refused") {
    const std::string sum(64, 'a');
    const auto found = orch::package::parse_print_uris(
        "Reading…\n'http://h/p/libx_1%3a2%2bb_amd64.deb' libx_1%3a2+b_amd64.deb 42 SHA256:" + sum + "\n");
    REQUIRE(found.has_value());
    REQUIRE(found->size() == 1);
    CHECK((*found)[0].package.name == "libx");
    CHECK((*found)[0].package.version == "1:2+b");
    CHECK((*found)[0].package.size == 42);
    CHECK_FALSE(orch::package::parse_print_uris("'http://h/x' libx_1_amd64.deb 42 MD5Sum:00\n").has_value());
    CHECK_FALSE(
        orch::package::parse_print_uris("'http://h/x' ../x_1_amd64.deb 42 SHA256:" + sum + "\n").has_value());
    CHECK_FALSE(orch::package::parse_print_uris("'http://h/x' x\n").has_value());
  }
}
