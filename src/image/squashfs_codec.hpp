// Decompression of single SquashFS blocks by libsquashfs. The only user of that library.
//
// Only its compressors are used. Its readers keep one metadata block each, so a walk over a tree decodes the
// same block many times, and they allocate by counts from the image: docs/design/extraction.md.
#pragma once

#include "base/result.hpp"
#include "image/squashfs_super.hpp"

#include <cstdint>
#include <memory>
#include <span>

struct sqfs_compressor_t;

namespace orch::image {

// Not for several threads at once: give each its own.
class SquashfsCodec {
 public:
  // Unsupported (with the reason) where libsquashfs was built without the compressor, as for LZO.
  static Result<SquashfsCodec> create(SquashfsCompressor compressor, std::uint32_t block_size);

  // Decodes one block; returns its length. Corrupt if it cannot be decoded or does not fit into `out`.
  Result<std::size_t> decode(std::span<const std::uint8_t> in, std::span<std::uint8_t> out);

 private:
  struct Destroy {
    void operator()(sqfs_compressor_t* compressor) const;
  };
  explicit SquashfsCodec(sqfs_compressor_t* compressor) : compressor_(compressor) {}
  std::unique_ptr<sqfs_compressor_t, Destroy> compressor_;
};

}  // namespace orch::image
