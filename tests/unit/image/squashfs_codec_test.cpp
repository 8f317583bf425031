#include "image/squashfs_codec.hpp"

#include <doctest/doctest.h>

#include <libdeflate.h>
#include <lzma.h>
#include <memory>
#include <string>
#include <vector>

namespace image = orch::image;
using image::SquashfsCodec;
using image::SquashfsCompressor;

namespace {

using Bytes = std::vector<std::uint8_t>;

// Text that compresses, with parts that do not.
Bytes sample(std::size_t size) {
  Bytes bytes(size);
  std::uint32_t state = 12345;
  for (std::size_t i = 0; i < size; ++i) {
    state = state * 1664525 + 1013904223;
    bytes[i] = i % 64 < 48 ? static_cast<std::uint8_t>('a' + i % 7) : static_cast<std::uint8_t>(state >> 24);
  }
  return bytes;
}

Bytes xz_of(const Bytes& plain, lzma_check check, bool x86_filter = false) {
  lzma_options_lzma options;
  REQUIRE(!lzma_lzma_preset(&options, 6));
  options.dict_size = 1U << 17;
  lzma_filter filters[3] = {
      {LZMA_FILTER_X86, nullptr}, {LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, nullptr}};
  Bytes out(lzma_stream_buffer_bound(plain.size()));
  std::size_t length = 0;
  REQUIRE(lzma_stream_buffer_encode(x86_filter ? filters : filters + 1, check, nullptr, plain.data(),
                                    plain.size(), out.data(), &length, out.size()) == LZMA_OK);
  out.resize(length);
  return out;
}

Bytes zlib_of(const Bytes& plain) {
  const std::unique_ptr<libdeflate_compressor, decltype(&libdeflate_free_compressor)> state(
      libdeflate_alloc_compressor(9), libdeflate_free_compressor);
  Bytes out(libdeflate_zlib_compress_bound(state.get(), plain.size()));
  out.resize(libdeflate_zlib_compress(state.get(), plain.data(), plain.size(), out.data(), out.size()));
  return out;
}

// What ours gives: the decoded bytes, or nothing.
struct Decoded {
  bool ok = false;
  Bytes bytes;
  bool operator==(const Decoded&) const = default;
};

Decoded ours(SquashfsCodec& codec, const Bytes& in, std::size_t room) {
  Bytes out(room);
  const auto length = codec.decode(in, out);
  if (!length) return {};
  out.resize(*length);
  return {true, std::move(out)};
}

Decoded liblzma_itself(const Bytes& in, std::size_t room) {
  Bytes out(room);
  std::uint64_t memory = 64U << 20;
  std::size_t from = 0;
  std::size_t length = 0;
  if (lzma_stream_buffer_decode(&memory, 0, nullptr, in.data(), &from, in.size(), out.data(), &length,
                                out.size()) != LZMA_OK)
    return {};
  out.resize(length);
  return {true, std::move(out)};
}

SquashfsCodec codec_of(SquashfsCompressor compressor) {
  auto codec = SquashfsCodec::create(compressor, 1U << 17);
  REQUIRE(codec);
  return std::move(*codec);
}

}  // namespace

TEST_CASE("xz blocks with every check and filter are decoded, one after the other") {
  SquashfsCodec codec = codec_of(SquashfsCompressor::xz);
  for (const std::size_t size : {1UL, 4096UL, 131072UL, 5000UL})
    for (const lzma_check check : {LZMA_CHECK_CRC32, LZMA_CHECK_NONE, LZMA_CHECK_CRC64, LZMA_CHECK_SHA256})
      for (const bool x86 : {false, true}) {
        const Bytes plain = sample(size);
        CHECK(ours(codec, xz_of(plain, check, x86), 131072) == Decoded{true, plain});
      }
}

TEST_CASE("a damaged xz block is accepted exactly when liblzma's own stream decoder accepts it") {
  SquashfsCodec codec = codec_of(SquashfsCompressor::xz);
  for (const lzma_check check : {LZMA_CHECK_CRC32, LZMA_CHECK_NONE, LZMA_CHECK_CRC64}) {
    const Bytes good = xz_of(sample(600), check);
    for (std::size_t at = 0; at < good.size(); ++at)
      for (unsigned bit = 0; bit < 8; ++bit) {
        Bytes damaged = good;
        damaged[at] = static_cast<std::uint8_t>(damaged[at] ^ (1U << bit));
        CAPTURE(at);
        CAPTURE(bit);
        CHECK(ours(codec, damaged, 4096) == liblzma_itself(damaged, 4096));
      }
    for (std::size_t length = 1; length < good.size(); ++length)
      CHECK(!ours(codec, Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length)), 4096).ok);
    CHECK(!ours(codec, good, 599).ok);
    CHECK(ours(codec, good, 600).ok);
  }
}

TEST_CASE("a damaged gzip block is never taken for another content") {
  SquashfsCodec codec = codec_of(SquashfsCompressor::gzip);
  const Bytes plain = sample(600);
  const Bytes good = zlib_of(plain);
  CHECK(ours(codec, good, 4096) == Decoded{true, plain});
  for (std::size_t at = 0; at < good.size(); ++at)
    for (unsigned bit = 0; bit < 8; ++bit) {
      Bytes damaged = good;
      damaged[at] = static_cast<std::uint8_t>(damaged[at] ^ (1U << bit));
      const Decoded got = ours(codec, damaged, 4096);
      CHECK((!got.ok || got.bytes == plain));
    }
  for (std::size_t length = 1; length < good.size(); ++length)
    CHECK(!ours(codec, Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length)), 4096).ok);
  CHECK(!ours(codec, good, 599).ok);
}
