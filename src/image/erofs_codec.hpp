// Decodes what EROFS compresses: LZ4 blocks, MicroLZMA, raw DEFLATE, Zstandard frames.
#pragma once

#include "base/result.hpp"
#include "image/erofs_map.hpp"
#include "image/erofs_super.hpp"

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

namespace orch::image {

using base::Result;

// Whether the encoded bytes give exactly what is asked for, or more, the rest of which is not wanted.
enum class ErofsWanted { all, prefix };

// May be used by several threads at once: each call borrows a set of decoders, which are kept for the next.
class ErofsCodec {
 public:
  // `padded`: what is encoded stands at the end of its blocks, behind zeros; otherwise at their beginning.
  ErofsCodec(const ErofsAlgorithms& algorithms, bool padded);
  ~ErofsCodec();

  // Fills `out`, which is not empty. Corrupt if `in` does not decode to as many bytes. `encoding` is one of
  // the compressors.
  Result<> decode(ErofsEncoding encoding, std::span<const std::uint8_t> in, std::span<std::uint8_t> out,
                  ErofsWanted wanted) const;

 private:
  class Decoders;
  std::unique_ptr<Decoders> borrow() const;
  void give_back(std::unique_ptr<Decoders> decoders) const;

  ErofsAlgorithms algorithms_;
  bool padded_;
  mutable std::mutex guard_;
  mutable std::vector<std::unique_ptr<Decoders>> idle_;
};

}  // namespace orch::image
