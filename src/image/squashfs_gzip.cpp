// zlib streams (RFC 1950) by libdeflate, which takes about half the time of zlib.
#include "image/squashfs_decoder.hpp"

#include <libdeflate.h>
#include <utility>

namespace orch::image {

namespace {

struct Free {
  void operator()(libdeflate_decompressor* state) const { libdeflate_free_decompressor(state); }
};
using State = std::unique_ptr<libdeflate_decompressor, Free>;

class GzipDecoder final : public SquashfsDecoder {
 public:
  explicit GzipDecoder(State state) : state_(std::move(state)) {}

  std::optional<std::size_t> decode(std::span<const std::uint8_t> in, std::span<std::uint8_t> out) override {
    std::size_t length = 0;
    const libdeflate_result result =
        libdeflate_zlib_decompress(state_.get(), in.data(), in.size(), out.data(), out.size(), &length);
    if (result != LIBDEFLATE_SUCCESS) return std::nullopt;
    return length;
  }

 private:
  State state_;
};

}  // namespace

std::unique_ptr<SquashfsDecoder> make_gzip_decoder() {
  State state(libdeflate_alloc_decompressor());
  if (!state) return nullptr;
  return std::make_unique<GzipDecoder>(std::move(state));
}

}  // namespace orch::image
