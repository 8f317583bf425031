// Decompression of single SquashFS blocks: by libsquashfs, except where the library behind the compressor is
// faster when it is used directly (gzip, xz).
//
// Of libsquashfs only the compressors are used. Its readers keep one metadata block each, so a walk over a
// tree decodes the same block many times, and they allocate by counts from the image:
// docs/design/extraction.md.
#pragma once

#include "base/result.hpp"
#include "image/squashfs_decoder.hpp"
#include "image/squashfs_super.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <utility>

namespace orch::image {

// Not for several threads at once: give each its own.
class SquashfsCodec {
 public:
  // Unsupported (with the reason) where libsquashfs was built without the compressor, as for LZO.
  static Result<SquashfsCodec> create(SquashfsCompressor compressor, std::uint32_t block_size);

  // Decodes one block; returns its length. Corrupt if it cannot be decoded or does not fit into `out`.
  Result<std::size_t> decode(std::span<const std::uint8_t> in, std::span<std::uint8_t> out);

 private:
  explicit SquashfsCodec(std::unique_ptr<SquashfsDecoder> decoder) : decoder_(std::move(decoder)) {}
  std::unique_ptr<SquashfsDecoder> decoder_;
};

}  // namespace orch::image
