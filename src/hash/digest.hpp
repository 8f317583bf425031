// Digests: XXH3-128 decides local staleness, SHA-256 identifies what leaves the machine. Neither type
// converts to the other. The only user of xxHash and libcrypto's digests.
#pragma once

#include "base/result.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace orch::hash {

using base::Result;

// XXH3-128, seed 0, canonical (big-endian) byte order: what `xxhsum -H2` prints.
struct Digest {
  std::array<std::uint8_t, 16> bytes{};
  std::string hex() const;
  static std::optional<Digest> parse(std::string_view hex);
  friend bool operator==(const Digest&, const Digest&) = default;
  friend auto operator<=>(const Digest&, const Digest&) = default;
};

Digest digest_of(std::string_view bytes);

class Hasher {
 public:
  Hasher();
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  ~Hasher();
  void update(const void* data, std::size_t size);
  void update(std::string_view bytes) { update(bytes.data(), bytes.size()); }
  Digest finish() const;
  void reset();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

struct Sha256 {
  std::array<std::uint8_t, 32> bytes{};
  std::string hex() const;
  static std::optional<Sha256> parse(std::string_view hex);
  friend bool operator==(const Sha256&, const Sha256&) = default;
};

Sha256 sha256_of(std::string_view bytes);

class Sha256Hasher {
 public:
  Sha256Hasher();
  Sha256Hasher(Sha256Hasher&&) noexcept;
  Sha256Hasher& operator=(Sha256Hasher&&) noexcept;
  ~Sha256Hasher();
  void update(const void* data, std::size_t size);
  void update(std::string_view bytes) { update(bytes.data(), bytes.size()); }
  Sha256 finish();  // once

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// SHA-1 is no identity of anything here: the fingerprints of OpenPGP keys of version 4 are made of it.
std::array<std::uint8_t, 20> sha1_of(std::string_view bytes);

// Content of an open regular file from its start to its end.
Result<Digest> digest_fd(int fd, std::string_view name);
Result<Sha256> sha256_fd(int fd, std::string_view name);
// XXH3-64, seed 0, as 16 hexadecimal digits: the sum that FEX publishes for its images.
Result<std::string> xxh3_64_fd(int fd, std::string_view name);

// Both of a file's digests, taken in one reading.
struct FileDigests {
  Digest digest;
  Sha256 sha256;
  std::uint64_t size = 0;
};
Result<FileDigests> file_digests(int fd, std::string_view name);

}  // namespace orch::hash
