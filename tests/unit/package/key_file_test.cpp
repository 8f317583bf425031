#include "package/key_file.hpp"

#include "base/text.hpp"
#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <string>

using orch::package::key_fingerprints;

namespace {

// A packet of a public key of version 4; its fingerprint is the SHA-1 of 99 00 06 and this body.
const std::string k_body("\x04\x01\x02\x03\x04\x01", 6);
const std::string k_old = std::string("\x98\x06", 2) + k_body;
const std::string k_new = std::string("\xc6\x06", 2) + k_body;
constexpr const char* k_fingerprint = "E0EA33D8B1B7F32DA82215E46E40AFDCDAEC22C9";

}  // namespace

TEST_SUITE("package/key_file") {
  TEST_CASE("keys are found in old and new packets, bare and armoured") {
    const auto one = key_fingerprints("k", k_old).value();
    REQUIRE(one.size() == 1);
    CHECK(one[0] == k_fingerprint);
    CHECK(key_fingerprints("k", k_new).value() == one);
    const std::string other = std::string("\xb4\x01q", 3);  // a user id
    CHECK(key_fingerprints("k", k_old + other + k_new).value().size() == 2);
    const std::string armoured = "comment\n-----BEGIN PGP PUBLIC KEY BLOCK-----\nVersion: x\n\n" +
                                 orch::base::base64(k_old) + "\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n";
    CHECK(key_fingerprints("k", armoured).value() == one);
    CHECK(key_fingerprints("k", armoured + armoured).value().size() == 2);
  }

  TEST_CASE("what is none, or cut short, is refused by name") {
    for (const std::string& text :
         {std::string("hello"), k_old.substr(0, 5), std::string("\xb4\x01q", 3), std::string(),
          std::string("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nxx")}) {
      const auto found = key_fingerprints("/k", text);
      REQUIRE_FALSE(found.has_value());
      CHECK(found.error().what.find("'/k' is no OpenPGP key file") == 0);
    }
  }

  TEST_CASE("a source's key file must have the keys that the source names") {
    const orch::test::TempDir dir;
    orch::package::Source source;
    source.name = "s";
    source.signed_by = dir.write("key", k_old);
    CHECK(check_key_file(source).has_value());
    source.fingerprints = {key_fingerprints("k", k_old).value()[0]};
    CHECK(check_key_file(source).has_value());
    source.fingerprints.emplace_back(40, '0');
    CHECK(check_key_file(source).error().what.find("has no key 0000") != std::string::npos);
  }
}
