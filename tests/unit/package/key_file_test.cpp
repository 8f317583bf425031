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

  TEST_CASE("what another reader could take for more keys is refused") {
    const std::string block = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n" + orch::base::base64(k_old) +
                              "\n-----END PGP PUBLIC KEY BLOCK-----\n";
    CHECK(key_fingerprints("k", block).value().size() == 1);
    const auto with_body = [&](const std::string& more) {
      return "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n" + more + "-----END PGP PUBLIC KEY BLOCK-----\n";
    };
    const std::string body = orch::base::base64(k_old) + "\n";
    for (const std::string& text :
         {block + "-----BEGIN PGP MESSAGE-----\n\n" + body + "-----END PGP MESSAGE-----\n",
          with_body("Comment: " + body), with_body(body + "=abcd\n" + body), with_body("Hash: x\n" + body),
          // secret keys, compressed packets
          std::string("\x94\x06", 2) + k_body, k_old + std::string("\xa0\x06", 2) + k_body})
      CHECK_MESSAGE(
          key_fingerprints("k", text).error().what.find("is no OpenPGP key file") != std::string::npos, text);
    // A binary file with a block in a user id is read as a binary file.
    const std::string other = "\xcd" + std::string(1, static_cast<char>(block.size())) + block;
    CHECK(key_fingerprints("k", std::string("\x98\x05", 2) + k_body.substr(0, 5) + other).value() !=
          key_fingerprints("k", k_old).value());
  }

  TEST_CASE("a source's key file may have no key but those that the source names") {
    const orch::test::TempDir dir;
    orch::package::Source source;
    source.name = "s";
    source.signed_by = dir.write("key", k_old);
    CHECK(check_key_file(source).has_value());
    source.fingerprints = {key_fingerprints("k", k_old).value()[0]};
    CHECK(check_key_file(source).has_value());
    source.fingerprints.emplace_back(40, '0');
    CHECK(check_key_file(source).has_value());
    std::string other = k_old;
    other[3] = 7;
    dir.write("key", k_old + other);
    const auto refused = check_key_file(source);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().what.find("has the key " + key_fingerprints("k", other).value()[0] +
                                    ", expected none but E0EA33D8") != std::string::npos);
    CHECK(refused.error().hint.find("add it to fingerprints") != std::string::npos);
    dir.write("key", k_old);
    source.fingerprints = {std::string(40, '0')};
    CHECK_FALSE(check_key_file(source).has_value());
  }
}
