#include "image/erofs_codec.hpp"

#include <fmt/format.h>
#include <lz4.h>

#include <algorithm>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

namespace orch::image {

using base::ErrorKind;
using base::fail;

namespace {

constexpr int k_largest_zstd_window = 24;  // bits: more than the largest extent needs

struct FreeZstd {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

}  // namespace

// Made at their first use. Each function: whether `out` was filled.
class ErofsCodec::Decoders {
 public:
  explicit Decoders(const ErofsAlgorithms& algorithms) : algorithms_(algorithms) {}
  Decoders(const Decoders&) = delete;
  Decoders& operator=(const Decoders&) = delete;
  ~Decoders() {
    lzma_end(&lzma_);
    if (inflating_) inflateEnd(&inflate_);
  }

  bool decode(ErofsEncoding encoding, std::span<const std::uint8_t> in, std::span<std::uint8_t> out,
              ErofsWanted wanted) {
    switch (encoding) {
      case ErofsEncoding::lz4:
        return lz4(in, out, wanted);
      case ErofsEncoding::lzma:
        return lzma(in, out, wanted);
      case ErofsEncoding::deflate:
        return deflate(in, out);
      case ErofsEncoding::zstd:
        return zstd(in, out, wanted);
      case ErofsEncoding::stored:
      case ErofsEncoding::rotated:
      case ErofsEncoding::hole:
      case ErofsEncoding::fragment:
        return false;
    }
    return false;
  }

 private:
  static bool lz4(std::span<const std::uint8_t> in, std::span<std::uint8_t> out, ErofsWanted wanted) {
    const auto* from = reinterpret_cast<const char*>(in.data());
    auto* to = reinterpret_cast<char*>(out.data());
    const int size = static_cast<int>(in.size());
    const int length = static_cast<int>(out.size());
    return length == (wanted == ErofsWanted::all
                          ? LZ4_decompress_safe(from, to, size, length)
                          : LZ4_decompress_safe_partial(from, to, size, length, length));
  }

  bool lzma(std::span<const std::uint8_t> in, std::span<std::uint8_t> out, ErofsWanted wanted) {
    const bool exact = wanted == ErofsWanted::all;
    if (lzma_microlzma_decoder(&lzma_, in.size(), out.size(), static_cast<lzma_bool>(exact),
                               algorithms_.lzma_dictionary) != LZMA_OK)
      return false;
    lzma_.next_in = in.data();
    lzma_.avail_in = in.size();
    lzma_.next_out = out.data();
    lzma_.avail_out = out.size();
    lzma_ret state = LZMA_OK;
    while (state == LZMA_OK && lzma_.avail_out != 0) state = lzma_code(&lzma_, LZMA_FINISH);
    return lzma_.avail_out == 0 && (state == LZMA_OK || state == LZMA_STREAM_END);
  }

  bool deflate(std::span<const std::uint8_t> in, std::span<std::uint8_t> out) {
    if (inflating_ ? inflateReset(&inflate_) != Z_OK : inflateInit2(&inflate_, -MAX_WBITS) != Z_OK)
      return false;
    inflating_ = true;
    inflate_.next_in = const_cast<Bytef*>(in.data());  // zlib does not write to it
    inflate_.avail_in = static_cast<uInt>(in.size());
    inflate_.next_out = out.data();
    inflate_.avail_out = static_cast<uInt>(out.size());
    int state = Z_OK;
    while (state == Z_OK && inflate_.avail_out != 0) state = inflate(&inflate_, Z_SYNC_FLUSH);
    return inflate_.avail_out == 0;
  }

  bool zstd(std::span<const std::uint8_t> in, std::span<std::uint8_t> out, ErofsWanted wanted) {
    if (!zstd_) {
      zstd_.reset(ZSTD_createDCtx());
      if (!zstd_ ||
          ZSTD_isError(ZSTD_DCtx_setParameter(zstd_.get(), ZSTD_d_windowLogMax, k_largest_zstd_window)) != 0)
        return false;
    }
    if (wanted == ErofsWanted::all)
      return ZSTD_decompressDCtx(zstd_.get(), out.data(), out.size(), in.data(), in.size()) == out.size();
    ZSTD_DCtx_reset(zstd_.get(), ZSTD_reset_session_only);
    ZSTD_inBuffer from{in.data(), in.size(), 0};
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    while (to.pos < to.size) {
      const std::size_t before = from.pos + to.pos;
      const std::size_t state = ZSTD_decompressStream(zstd_.get(), &to, &from);
      if (ZSTD_isError(state) != 0) return false;
      if (state == 0 || from.pos + to.pos == before) break;
    }
    return to.pos == to.size;
  }

  const ErofsAlgorithms& algorithms_;
  lzma_stream lzma_ = LZMA_STREAM_INIT;
  z_stream inflate_{};
  bool inflating_ = false;
  std::unique_ptr<ZSTD_DCtx, FreeZstd> zstd_;
};

ErofsCodec::ErofsCodec(const ErofsAlgorithms& algorithms, bool padded)
    : algorithms_(algorithms), padded_(padded) {}

ErofsCodec::~ErofsCodec() = default;

std::unique_ptr<ErofsCodec::Decoders> ErofsCodec::borrow() const {
  const std::lock_guard lock(guard_);
  if (idle_.empty()) return std::make_unique<Decoders>(algorithms_);
  std::unique_ptr<Decoders> decoders = std::move(idle_.back());
  idle_.pop_back();
  return decoders;
}

void ErofsCodec::give_back(std::unique_ptr<Decoders> decoders) const {
  const std::lock_guard lock(guard_);
  idle_.push_back(std::move(decoders));
}

Result<> ErofsCodec::decode(ErofsEncoding encoding, std::span<const std::uint8_t> in,
                            std::span<std::uint8_t> out, ErofsWanted wanted) const {
  constexpr std::string_view k_names[] = {"lz4", "lzma", "deflate", "zstd"};
  if (padded_)
    in = in.subspan(static_cast<std::size_t>(
        std::find_if(in.begin(), in.end(), [](std::uint8_t byte) { return byte != 0; }) - in.begin()));
  else
    wanted =
        ErofsWanted::prefix;  // what follows the encoded bytes is padding, and nothing says where it begins
  std::unique_ptr<Decoders> decoders = borrow();
  const bool done = !in.empty() && decoders->decode(encoding, in, out, wanted);
  give_back(std::move(decoders));
  if (done) return {};
  const auto index = static_cast<std::size_t>(encoding);
  return fail(ErrorKind::corrupt,
              fmt::format("{} bytes of {} data do not decode to {} bytes", in.size(),
                          index < std::size(k_names) ? k_names[index] : "unknown", out.size()));
}

}  // namespace orch::image
