// What is said of a file that cannot be mounted as an image, before anything tries.
#include "launch/image_check.hpp"

#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

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
  CHECK(refusal(folder, superblock(13)).find("blocks of 8192 bytes") != std::string::npos);
  CHECK(refusal(folder, superblock('\xFF')).find("blocks of 2^255 bytes") != std::string::npos);
}

TEST_CASE("a file that ends within the superblock, or has it elsewhere, is no image") {
  const orch::test::TempDir folder;
  const std::string no_image = "'" + (folder / "x.erofs") + "' is no EROFS image";
  CHECK(refusal(folder, superblock(12).substr(0, 1024 + 127)) == no_image);
  CHECK(refusal(folder, superblock(12).substr(0, 1024 + 128)).empty());
  CHECK(refusal(folder, "hsq") == no_image);
  CHECK(refusal(folder, "") == no_image);
  CHECK(refusal(folder, superblock(12).substr(1024)) == no_image);
}

TEST_CASE("a directory is no image") {
  const orch::test::TempDir folder;
  const auto checked = check_image(folder.path());
  REQUIRE_FALSE(checked);
  CHECK(checked.error().what == "the image '" + folder.path() + "' is no regular file");
}

TEST_CASE("of a stack the first image that is not fit is named, and a stack has to have one") {
  using orch::launch::Check;
  const orch::test::TempDir folder;
  const std::string good = folder.write("good.erofs", superblock(12));
  const std::string bad = folder.write("bad.erofs", superblock(14));
  const std::string text = folder.write("text.erofs", "text");
  const auto check = [](const std::vector<std::string>& paths, bool only_lz4 = false) {
    std::vector<orch::model::LaunchImage> images(paths.size());
    for (std::size_t i = 0; i < paths.size(); ++i) images[i].path = paths[i];
    return orch::launch::check_images(images, only_lz4);
  };
  CHECK(check({good, good}).status == Check::Status::ok);
  CHECK(check({good, good}).detail == "2 images, EROFS with 4 KiB blocks");
  CHECK(check({}).status == Check::Status::failed);
  const Check found = check({good, bad, text});
  CHECK(found.status == Check::Status::failed);
  CHECK(found.detail.find("bad.erofs' has blocks of 16384 bytes") != std::string::npos);
  CHECK(found.remedy == "make it again with mkfs.erofs -b4096");

  // fs/erofs/erofs_fs.h: bit 1 of feature_incompat (byte 80) says that bytes 84 and 85 are a mask of compressors.
  const auto compressed = [&](const char* file, char mask) {
    std::string image = superblock(12);
    image[1024 + 80] = 2;
    image[1024 + 84] = mask;
    return folder.write(file, image);
  };
  const std::string lz4 = compressed("lz4.erofs", 1);
  const std::string both = compressed("both.erofs", 1 + 2);
  CHECK(check({good, lz4}, true).status == Check::Status::ok);
  CHECK(check({lz4, both}).status == Check::Status::ok);
  const Check unreadable = check({lz4, both}, true);
  CHECK(unreadable.status == Check::Status::failed);
  CHECK(unreadable.detail ==
        "the image '" + both + "' is compressed with lzma, the kernel of muvm's guest reads lz4 only");
  CHECK(unreadable.remedy == "make it again with mkfs.erofs -zlz4");
}
