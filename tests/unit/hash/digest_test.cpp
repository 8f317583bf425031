// Published values, and that neighbours in a key cannot run together.
#include "hash/digest.hpp"

#include "hash/key_hasher.hpp"

#include <doctest/doctest.h>

using namespace orch::hash;

TEST_SUITE("digest") {
  TEST_CASE("values that other programs print") {
    CHECK(digest_of("").hex() == "99aa06d3014798d86001c324468d497f");  // printf '' | xxhsum -H2
    CHECK(sha256_of("abc").hex() ==
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");  // FIPS 180-2
    CHECK(Digest::parse(digest_of("x").hex()) == digest_of("x"));
    CHECK_FALSE(Digest::parse("zz"));
    CHECK_FALSE(Sha256::parse("00"));
  }

  TEST_CASE("a stream in pieces has the digest of the whole") {
    Hasher hasher;
    Sha256Hasher sha256;
    std::string whole;
    for (int i = 0; i < 1000; ++i) {
      const std::string piece(static_cast<std::size_t>(i % 37), static_cast<char>(i));
      whole += piece;
      hasher.update(piece);
      sha256.update(piece);
    }
    CHECK(hasher.finish() == digest_of(whole));
    CHECK(sha256.finish() == sha256_of(whole));
  }

  TEST_CASE("fields of a key do not run together, and order counts") {
    const auto key = [](std::initializer_list<KeyItem> items) {
      KeyHasher hasher;
      for (const KeyItem& item : items) hasher.add(item.kind, item.name, item.value);
      return hasher.key();
    };
    CHECK(key({{"a", "bc", "d"}}) != key({{"ab", "c", "d"}}));
    CHECK(key({{"a", "b", "cd"}}) != key({{"a", "bc", "d"}}));
    CHECK(key({{"a", "b", ""}, {"", "", ""}}) != key({{"a", "b", ""}}));
    CHECK(key({{"a", "b", "c"}, {"d", "e", "f"}}) != key({{"d", "e", "f"}, {"a", "b", "c"}}));
    CHECK(key({{"a", "b", "c"}}) == key({{"a", "b", "c"}}));
  }
}
