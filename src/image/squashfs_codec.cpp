#include "image/squashfs_codec.hpp"

#include <fmt/format.h>
#include <sqfs/compressor.h>
#include <sqfs/error.h>
#include <sqfs/predef.h>

#include <limits>
#include <utility>

namespace orch::image {

using base::ErrorKind;
using base::fail;

namespace {

// Any compressor that libsquashfs was built with.
class LibsquashfsDecoder final : public SquashfsDecoder {
 public:
  struct Destroy {
    void operator()(sqfs_compressor_t* compressor) const { sqfs_destroy(compressor); }
  };
  using Compressor = std::unique_ptr<sqfs_compressor_t, Destroy>;

  explicit LibsquashfsDecoder(Compressor compressor) : compressor_(std::move(compressor)) {}

  std::optional<std::size_t> decode(std::span<const std::uint8_t> in, std::span<std::uint8_t> out) override {
    const sqfs_s32 length =
        compressor_->do_block(compressor_.get(), in.data(), static_cast<sqfs_u32>(in.size()), out.data(),
                              static_cast<sqfs_u32>(out.size()));
    if (length <= 0) return std::nullopt;
    return static_cast<std::size_t>(length);
  }

 private:
  Compressor compressor_;
};

Result<std::unique_ptr<SquashfsDecoder>> make_libsquashfs_decoder(SquashfsCompressor compressor,
                                                                  std::uint32_t block_size) {
  sqfs_compressor_config_t config;
  const auto id = static_cast<SQFS_COMPRESSOR>(compressor);
  int status = sqfs_compressor_config_init(&config, id, block_size, SQFS_COMP_FLAG_UNCOMPRESS);
  sqfs_compressor_t* object = nullptr;
  if (status == 0) status = sqfs_compressor_create(&config, &object);
  if (status != 0)
    return fail(ErrorKind::unsupported,
                fmt::format("libsquashfs cannot decode '{}' here (error {})", to_string(compressor), status),
                "install the package 'squashfs-tools': its unsquashfs is then used");
  return std::make_unique<LibsquashfsDecoder>(LibsquashfsDecoder::Compressor(object));
}

}  // namespace

Result<SquashfsCodec> SquashfsCodec::create(SquashfsCompressor compressor, std::uint32_t block_size) {
  std::unique_ptr<SquashfsDecoder> decoder;
  if (compressor == SquashfsCompressor::gzip) decoder = make_gzip_decoder();
  if (compressor == SquashfsCompressor::xz) decoder = make_xz_decoder();
  if (!decoder) {
    ORCH_TRY(decoder, make_libsquashfs_decoder(compressor, block_size));
  }
  return SquashfsCodec(std::move(decoder));
}

Result<std::size_t> SquashfsCodec::decode(std::span<const std::uint8_t> in, std::span<std::uint8_t> out) {
  constexpr std::size_t k_most = std::numeric_limits<std::int32_t>::max();
  if (in.empty() || in.size() > k_most || out.size() > k_most)
    return fail(ErrorKind::corrupt, "a compressed block has an impossible size");
  const std::optional<std::size_t> length = decoder_->decode(in, out);
  if (!length)
    return fail(ErrorKind::corrupt,
                fmt::format("a compressed block of {} bytes cannot be decoded", in.size()));
  return *length;
}

}  // namespace orch::image
