// What is said of a file that cannot be mounted as an image, before anything tries.
#include "launch/image_check.hpp"

#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <string>

using orch::launch::check_image;

namespace {

std::string superblock(char block_bits) {
  std::string image(4096, '\0');
  image.replace(1024, 4, "\xE2\xE1\xF5\xE0");
  image[1024 + 12] = block_bits;
  return image;
}

std::string refusal(const orch::test::TempDir& folder, const std::string& content) {
  const auto checked = check_image(folder.write("x.erofs", content));
  return checked ? "" : checked.error().what;
}

}  // namespace

TEST_CASE("an image with 4 KiB blocks or smaller ones is fit") {
  const orch::test::TempDir folder;
  CHECK(refusal(folder, superblock(12)).empty());
  CHECK(refusal(folder, superblock(9)).empty());
}

TEST_CASE("what no kernel with 4 KiB pages mounts is refused with the reason") {
  const orch::test::TempDir folder;
  const std::string name = folder / "x.erofs";
  CHECK(refusal(folder, superblock(14)) ==
        "the image '" + name +
            "' has blocks of 16384 bytes, a kernel with 4 KiB pages mounts no more than 4096");
  CHECK(refusal(folder, "hsqs and more") == "'" + name + "' is no EROFS image: it is SquashFS");
  CHECK(refusal(folder, "text") == "'" + name + "' is no EROFS image");
  CHECK(check_image(folder / "absent").error().kind == orch::base::ErrorKind::not_found);
}
