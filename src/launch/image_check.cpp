#include "launch/image_check.hpp"

#include "base/text.hpp"
#include "image/erofs_super.hpp"
#include "image/random_access.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <fcntl.h>

#include <algorithm>
#include <optional>
#include <string>

namespace orch::launch {

using base::ErrorKind;
using base::fail;

Result<> check_image(const std::string& path) {
  // erofs_fs.h: the superblock is at 1024, begins with 0xE0F5E1E2 (little-endian); byte 12 is log2 of the
  // block size.
  constexpr std::uint64_t k_superblock = 1024;
  constexpr std::string_view k_magic = "\xE2\xE1\xF5\xE0";
  constexpr std::size_t k_block_bits = 12;
  constexpr unsigned k_most_block_bits = 12;
  const std::string name = base::printable(path);
  ORCH_TRY(const struct stat info, sys::stat_file(path));
  if (!S_ISREG(info.st_mode))
    return fail(ErrorKind::unsupported, fmt::format("the image '{}' is no regular file", name));
  ORCH_TRY(const sys::Fd fd, sys::open_file(path, O_RDONLY));
  ORCH_TRY(const std::string block, sys::read_at(fd.get(), k_superblock, 128, path));
  if (block.size() < 128 || block.compare(0, k_magic.size(), k_magic) != 0) {
    ORCH_TRY(const std::string head, sys::read_at(fd.get(), 0, 4, path));
    return fail(ErrorKind::unsupported,
                fmt::format("'{}' is no EROFS image{}", name, head == "hsqs" ? ": it is SquashFS" : ""),
                "give an image made by mkfs.erofs");
  }
  const unsigned bits = static_cast<unsigned char>(block[k_block_bits]);
  if (bits > k_most_block_bits)
    return fail(
        ErrorKind::unsupported,
        fmt::format(
            "the image '{}' has blocks of {} bytes, a kernel with 4 KiB pages mounts no more than 4096", name,
            bits < 31 ? std::to_string(1U << bits) : fmt::format("2^{}", bits)),
        "make it again with mkfs.erofs -b4096");
  return {};
}

Result<> check_compressors(const std::string& path) {
  ORCH_TRY(const auto file, image::FileAccess::open(path));
  ORCH_TRY(const std::optional<image::ErofsSuper> super, image::read_erofs_super(*file));
  if (!super) return {};
  for (const std::string& name : image::compressor_names(*super))
    if (name != "lz4")
      return fail(
          ErrorKind::unsupported,
          fmt::format("the image '{}' is compressed with {}, the kernel of muvm's guest reads lz4 only",
                      base::printable(path), name),
          "make it again with mkfs.erofs -zlz4");
  return {};
}

Check check_images(const std::vector<model::LaunchImage>& images, bool only_lz4) {
  if (images.empty())
    return {"images", Check::Status::failed, "the stack has no image",
            "set [stack] base in the profile, or give --image"};
  for (const model::LaunchImage& image : images) {
    Result<> checked = check_image(image.path);
    if (checked && only_lz4) checked = check_compressors(image.path);
    if (!checked)
      return {"images", Check::Status::failed, base::one_line(checked.error()), checked.error().hint};
  }
  return {"images", Check::Status::ok, fmt::format("{} images, EROFS with 4 KiB blocks", images.size()), ""};
}

}  // namespace orch::launch
