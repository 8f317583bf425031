// What decodes single SquashFS blocks of one compressor. SquashfsCodec chooses the implementation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

namespace orch::image {

// Not for several threads at once: give each its own.
class SquashfsDecoder {
 public:
  SquashfsDecoder() = default;
  SquashfsDecoder(const SquashfsDecoder&) = delete;
  SquashfsDecoder& operator=(const SquashfsDecoder&) = delete;
  virtual ~SquashfsDecoder() = default;

  // Decodes `in`, which is not empty, into `out`; returns the length. Nothing if it is damaged, or too long
  // for `out`.
  virtual std::optional<std::size_t> decode(std::span<const std::uint8_t> in,
                                            std::span<std::uint8_t> out) = 0;
};

// Compressor "gzip", whose blocks are zlib streams (RFC 1950), by libdeflate. Null without memory.
std::unique_ptr<SquashfsDecoder> make_gzip_decoder();

// Compressor "xz", whose blocks are .xz files with one block each, by liblzma. Null without memory.
std::unique_ptr<SquashfsDecoder> make_xz_decoder();

}  // namespace orch::image
