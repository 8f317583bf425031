#include "package/key_file.hpp"

#include "base/text.hpp"
#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <string>

using orch::package::parse_key_file;

namespace {

// A packet of a public key of version 4; its fingerprint is the SHA-1 of 99 00 06 and this body.
const std::string k_body("\x04\x01\x02\x03\x04\x01", 6);
const std::string k_old = std::string("\x98\x06", 2) + k_body;
const std::string k_new = std::string("\xc6\x06", 2) + k_body;
constexpr const char* k_fingerprint = "E0EA33D8B1B7F32DA82215E46E40AFDCDAEC22C9";
const std::string k_user_id("\xb4\x01q", 3);

std::string block(const std::string& packets, const std::string& head = "\n") {
  return "-----BEGIN PGP PUBLIC KEY BLOCK-----\n" + head + orch::base::base64(packets) +
         "\n-----END PGP PUBLIC KEY BLOCK-----\n";
}

// The fingerprints, or what is wrong.
std::string keys_of(const std::string& text) {
  const auto keys = parse_key_file("/k", text);
  if (!keys) return keys.error().what;
  std::string out;
  for (const auto& key : *keys) out += key.fingerprint.substr(0, 8) + " ";
  return out;
}

}  // namespace

TEST_SUITE("package/key_file") {
  TEST_CASE("keys are found in old and new packets, bare and armoured") {
    CHECK(parse_key_file("k", k_old).value().at(0).fingerprint == k_fingerprint);
    CHECK(keys_of(k_new) == "E0EA33D8 ");
    CHECK(keys_of(k_old + k_user_id + k_new) == "E0EA33D8 E0EA33D8 ");
    const std::string armoured = "comment\n-----BEGIN PGP PUBLIC KEY BLOCK-----\nVersion: x\nComment: \n\n" +
                                 orch::base::base64(k_old) + "\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n";
    CHECK(keys_of(armoured) == "E0EA33D8 ");
    CHECK(keys_of(armoured + armoured) == "E0EA33D8 E0EA33D8 ");
    std::string from_windows;
    for (const char c : armoured) from_windows += c == '\n' ? std::string("\r\n") : std::string(1, c);
    CHECK(keys_of(from_windows) == "E0EA33D8 ");
  }

  TEST_CASE("what is none, or cut short, is refused by name") {
    for (const std::string& text : {std::string("hello"), k_old.substr(0, 5), k_user_id, std::string(),
                                    std::string("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nxx"), block("")})
      CHECK(keys_of(text).find("'/k' is no OpenPGP key file: ") == 0);
    CHECK(keys_of(k_user_id + k_old).find("does not begin with a key") != std::string::npos);
  }

  TEST_CASE("what another reader could take for more keys is refused") {
    CHECK(keys_of(block(k_old)) == "E0EA33D8 ");
    const auto with_body = [&](const std::string& more) {
      return "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n" + more + "-----END PGP PUBLIC KEY BLOCK-----\n";
    };
    const std::string body = orch::base::base64(k_old) + "\n";
    for (const std::string& text :
         {block(k_old) + "-----BEGIN PGP MESSAGE-----\n\n" + body + "-----END PGP MESSAGE-----\n",
          with_body("Comment: " + body), with_body(body + "=abcd\n" + body), with_body("Hash: x\n" + body),
          // secret keys, compressed packets
          std::string("\x94\x06", 2) + k_body, k_old + std::string("\xa0\x06", 2) + k_body})
      CHECK_MESSAGE(keys_of(text).find("is no OpenPGP key file") != std::string::npos, text);
  }

  TEST_CASE(
      "a block in a user id is refused: rpmkeys finds it anywhere, and so does apt in a line of its own") {
    std::string other = k_old;
    other[3] = 7;
    const std::string text = "\n" + block(other);
    const std::string packets = k_old + "\xcd" + std::string(1, static_cast<char>(text.size())) + text;
    CHECK(keys_of(packets).find("is no OpenPGP key file") != std::string::npos);
    CHECK(keys_of(block(packets)).find("is no OpenPGP key file") != std::string::npos);
  }

  TEST_CASE("lines that end the head of a block here and not elsewhere are refused") {
    std::string other = k_old;
    other[3] = 7;
    const std::string more = orch::base::base64(k_new + "\xcd\x09" + std::string(1, 'x')) + "\n";
    CHECK(keys_of(block(other, " \n" + more + "\n")).find("is no OpenPGP key file") != std::string::npos);
    for (const char* head : {" \n", "\t\n", "\r\r\n", "\n\n", "\n \n", " A: b\n\n", ""})
      CHECK_MESSAGE(keys_of(block(k_old, head)).find("its text form is damaged") != std::string::npos, head);
    for (const char* line :
         {" -----BEGIN PGP PUBLIC KEY BLOCK-----", "-----BEGIN PGP PUBLIC KEY BLOCK----- "})
      CHECK(keys_of(line + block(k_old).substr(36)).find("its text form is damaged") != std::string::npos);
    CHECK(keys_of(block(k_old, "\n ")).find("its text form is damaged") != std::string::npos);
  }

  TEST_CASE("what the package managers get is the keys, each in a block with its checksum") {
    const auto keys = parse_key_file("k", "of this machine\n" + block(k_old + k_user_id + k_new)).value();
    CHECK(orch::package::binary_keys(keys) == k_old + k_user_id + k_new);
    CHECK(
        orch::package::armoured_keys(keys) ==
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmAYEAQIDBAG0AXE=\n=Eidb\n-----END PGP PUBLIC KEY "
        "BLOCK-----\n"
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nxgYEAQIDBAE=\n=bNIQ\n-----END PGP PUBLIC KEY BLOCK-----\n");
    std::string long_key = k_old;
    for (int i = 0; i < 40; ++i) long_key += k_user_id;
    const auto again =
        parse_key_file("k", orch::package::armoured_keys(parse_key_file("k", long_key).value()));
    CHECK(orch::package::binary_keys(again.value()) == long_key);
  }

  TEST_CASE("a source's key file may have no key but those that the source names") {
    const orch::test::TempDir dir;
    orch::package::Source source;
    source.name = "s";
    source.signed_by = dir.write("key", k_old);
    CHECK(read_key_file(source).has_value());
    source.fingerprints = {k_fingerprint};
    CHECK(read_key_file(source).has_value());
    source.fingerprints.emplace_back(40, '0');
    CHECK(read_key_file(source).has_value());
    std::string other = k_old;
    other[3] = 7;
    dir.write("key", k_old + other);
    const auto refused = read_key_file(source);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().what.find("has the key " + parse_key_file("k", other).value()[0].fingerprint +
                                    ", expected none but E0EA33D8") != std::string::npos);
    CHECK(refused.error().hint.find("add it to fingerprints") != std::string::npos);
    dir.write("key", k_old);
    source.fingerprints = {std::string(40, '0')};
    CHECK_FALSE(read_key_file(source).has_value());
  }
}
