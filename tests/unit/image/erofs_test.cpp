#include "image/erofs.hpp"

#include <doctest/doctest.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace {

namespace image = orch::image;
using orch::base::ErrorKind;

constexpr std::size_t k_block = 4096;
constexpr std::size_t k_super = 1024;
constexpr std::size_t k_root = 64;  // nids: 32 bytes each, from the image's begin
constexpr std::size_t k_file = 80;
constexpr std::size_t k_link = 96;
constexpr std::size_t k_folder = 112;

constexpr unsigned k_inline = 2 << 1;
constexpr unsigned k_directory_mode = 0040755;
constexpr unsigned k_file_mode = 0100644;
constexpr unsigned k_link_mode = 0120777;

void put(std::string& bytes, std::size_t at, std::uint64_t value, std::size_t width) {
  for (std::size_t i = 0; i < width; ++i) bytes[at + i] = static_cast<char>(value >> (8 * i));
}

struct Name {
  std::string name;
  std::uint64_t nid;
  unsigned type;
};

std::string directory_block(const std::vector<Name>& names) {
  std::string bytes(names.size() * 12, '\0');
  for (std::size_t i = 0; i < names.size(); ++i) {
    put(bytes, i * 12, names[i].nid, 8);
    put(bytes, i * 12 + 8, bytes.size(), 2);
    put(bytes, i * 12 + 10, names[i].type, 1);
    bytes += names[i].name;
  }
  return bytes;
}

// A compact inode with its data behind it. `attributes`: what stands between them, of 12 + 4·n bytes.
void add(std::string& bytes, std::size_t nid, unsigned mode, const std::string& data,
         const std::string& attributes = "") {
  const std::size_t at = nid * 32;
  put(bytes, at, k_inline, 2);
  put(bytes, at + 2, attributes.empty() ? 0 : (attributes.size() - 12) / 4 + 1, 2);
  put(bytes, at + 4, mode, 2);
  put(bytes, at + 6, 1, 2);
  put(bytes, at + 8, data.size(), 4);
  put(bytes, at + 20, nid, 4);
  put(bytes, at + 24, 1000, 2);
  bytes.replace(at + 32, attributes.size() + data.size(), attributes + data);
}

std::string opaque_attribute(const std::string& value) {
  std::string bytes(12, '\0');
  const std::string name = "overlay.opaque";
  std::string entry(4, '\0');
  put(entry, 0, name.size(), 1);
  put(entry, 1, 4, 1);
  put(entry, 2, value.size(), 2);
  entry += name + value;
  entry.resize((entry.size() + 3) / 4 * 4, '\0');
  return bytes + entry;
}

std::vector<Name> root_names() {
  return {
      {".", k_root, 2}, {"..", k_root, 2}, {"file", k_file, 1}, {"folder", k_folder, 2}, {"link", k_link, 7}};
}

std::string whole_image(const std::vector<Name>& names = root_names()) {
  std::string bytes(2 * k_block, '\0');
  put(bytes, k_super, 0xE0F5E1E2, 4);
  put(bytes, k_super + 12, 12, 1);
  put(bytes, k_super + 14, k_root, 2);
  put(bytes, k_super + 24, 1'700'000'000, 8);
  put(bytes, k_super + 32, 5, 4);
  put(bytes, k_super + 36, 2, 4);
  add(bytes, k_root, k_directory_mode, directory_block(names));
  add(bytes, k_file, k_file_mode, "contents");
  add(bytes, k_link, k_link_mode, "file");
  add(bytes, k_folder, k_directory_mode, directory_block({{".", k_folder, 2}, {"..", k_root, 2}}),
      opaque_attribute("y"));
  return bytes;
}

image::Result<std::unique_ptr<image::ErofsTree>> open(std::string bytes) {
  return image::ErofsTree::open(std::make_shared<image::MemoryAccess>(std::move(bytes)));
}

std::unique_ptr<image::ErofsTree> opened(std::string bytes) {
  auto tree = open(std::move(bytes));
  REQUIRE_MESSAGE(tree.has_value(), (tree ? "" : tree.error().what));
  return *std::move(tree);
}

void check_refused(const std::string& bytes, const std::string& reason, ErrorKind kind = ErrorKind::corrupt) {
  const auto tree = open(bytes);
  REQUIRE_FALSE(tree.has_value());
  CHECK(tree.error().kind == kind);
  CHECK_MESSAGE(tree.error().what.find(reason) != std::string::npos, tree.error().what);
}

void check_bad_root(const std::string& bytes, const std::string& reason) {
  const auto tree = opened(bytes);
  const auto names = tree->list(tree->root());
  REQUIRE_FALSE(names.has_value());
  CHECK(names.error().kind == ErrorKind::corrupt);
  CHECK_MESSAGE(names.error().what.find(reason) != std::string::npos, names.error().what);
  CHECK(names.error().what.starts_with("inode "));
}

// CRC-32C by its definition, bit by bit from the highest.
std::uint32_t checksum(const std::string& bytes) {
  std::uint32_t sum = ~0U;
  for (const char byte : bytes)
    for (unsigned bit = 0; bit < 8; ++bit) {
      const unsigned input = static_cast<unsigned char>(byte) >> bit & 1;
      const bool carry = ((sum ^ input) & 1) != 0;
      sum >>= 1;
      if (carry) sum ^= 0x82F63B78;
    }
  return sum;
}

}  // namespace

TEST_SUITE("image/erofs") {
  TEST_CASE("a small image is listed and read") {
    const auto tree = opened(whole_image());
    const auto names = tree->list(tree->root());
    REQUIRE(names.has_value());
    REQUIRE(names->size() == 3);
    CHECK((*names)[0].name == "file");
    CHECK((*names)[1].type == image::NodeType::directory);
    CHECK((*names)[2].node == image::NodeId{k_link});
    CHECK(*tree->readlink({k_link}) == "file");
    const auto info = tree->stat({k_file});
    REQUIRE(info.has_value());
    CHECK(info->mode == 0644);
    CHECK(info->size == 8);
    CHECK(info->uid == 1000);
    CHECK(info->links == 1);
    CHECK(info->mtime == 1'700'000'000);
    CHECK(info->mtime_nsec == 5);
    const auto file = tree->open({k_file});
    REQUIRE(file.has_value());
    CHECK(*image::read_exact(**file, 0, 8) == "contents");
    CHECK(*image::read_exact(**file, 3, 2) == "te");
    CHECK_FALSE(image::read_exact(**file, 3, 6).has_value());
  }

  TEST_CASE("single names are looked up") {
    const auto tree = opened(whole_image());
    CHECK((*tree->lookup(tree->root(), "folder"))->node == image::NodeId{k_folder});
    for (const char* name : {"", ".", "..", "fil", "filf", "zz", "a/b"})
      CHECK_FALSE(tree->lookup(tree->root(), name)->has_value());
    CHECK_FALSE(tree->lookup({k_file}, "x").has_value());
  }

  TEST_CASE("a directory is opaque if its attribute says y") {
    CHECK(opened(whole_image())->stat({k_folder})->opaque);
    CHECK_FALSE(opened(whole_image())->stat({k_root})->opaque);
    std::string bytes = whole_image();
    add(bytes, k_folder, k_directory_mode, directory_block({{".", k_folder, 2}, {"..", k_root, 2}}),
        opaque_attribute("n"));
    CHECK_FALSE(opened(bytes)->stat({k_folder})->opaque);
    add(bytes, k_folder, k_directory_mode, directory_block({{".", k_folder, 2}, {"..", k_root, 2}}),
        opaque_attribute("y"));
    put(bytes, k_folder * 32 + 32 + 4, 200, 1);  // as many shared attributes
    CHECK_FALSE(opened(bytes)->stat({k_folder}).has_value());
    put(bytes, k_folder * 32 + 32 + 4, 0, 1);
    put(bytes, k_folder * 32 + 32 + 12, 255, 1);  // a name that goes beyond the attributes
    CHECK_FALSE(opened(bytes)->stat({k_folder}).has_value());
  }

  TEST_CASE("shared attributes count") {
    std::string bytes = whole_image();
    put(bytes, k_super + 44, 1, 4);
    bytes.replace(k_block + 8, 20, opaque_attribute("y").substr(12));
    std::string attributes(16, '\0');
    put(attributes, 4, 1, 1);
    put(attributes, 12, 2, 4);
    add(bytes, k_folder, k_directory_mode, directory_block({{".", k_folder, 2}, {"..", k_root, 2}}),
        attributes);
    CHECK(opened(bytes)->stat({k_folder})->opaque);
    put(bytes, k_folder * 32 + 32 + 12, 0x7FFFFFFF, 4);
    CHECK_FALSE(opened(bytes)->stat({k_folder}).has_value());
  }

  TEST_CASE("superblocks that are not usable are refused") {
    check_refused("", "no EROFS superblock");
    check_refused(whole_image().substr(0, 6000), "cut short");
    std::string bytes = whole_image();
    put(bytes, k_super + 80, 0x1000, 4);
    check_refused(bytes, "incompat 0x1000", ErrorKind::unsupported);
    put(bytes, k_super + 80, 0x8, 4);
    put(bytes, k_super + 86, 1, 2);
    check_refused(bytes, "further device", ErrorKind::unsupported);
    bytes = whole_image();
    put(bytes, k_super + 90, 1, 1);
    check_refused(bytes, "directory blocks", ErrorKind::unsupported);
    bytes = whole_image();
    put(bytes, k_super + 13, 200, 1);
    check_refused(bytes, "contradicts itself");
    bytes = whole_image();
    put(bytes, k_super + 14, k_file, 2);
    check_refused(bytes, "expected a directory");
    bytes = whole_image();
    put(bytes, k_super + 80, 0x80, 4);
    put(bytes, k_super + 14, 0xFFFF, 2);
    put(bytes, k_super + 112, k_root, 8);
    check_refused(bytes, "cut short");
    bytes = whole_image();
    put(bytes, k_super + 80, 0x20, 4);
    put(bytes, k_super + 96, ~std::uint64_t{0}, 8);
    check_refused(bytes, "contradicts itself");
    put(bytes, k_super + 96, k_root, 8);
    check_refused(bytes, "it is no file");
  }

  TEST_CASE("the superblock's checksum is looked at") {
    std::string bytes = whole_image();
    put(bytes, k_super + 8, 1, 4);
    put(bytes, k_super + 4, checksum(bytes.substr(k_super, k_block - k_super)), 4);
    CHECK(open(bytes).has_value());
    bytes[2000] = 'x';
    check_refused(bytes, "checksum");
  }

  TEST_CASE("directories that contradict themselves are refused") {
    auto names = root_names();
    std::swap(names[2], names[3]);
    check_bad_root(whole_image(names), "'file' is not in its place");
    names = root_names();
    names[3].name = "file";
    check_bad_root(whole_image(names), "'file' is not in its place");
    names = root_names();
    names[2].name = "a/b";
    check_bad_root(whole_image(names), "is no name");
    names[2].name = std::string("a\0b", 3);
    check_bad_root(whole_image(names), "is no name");
    names[2].name = std::string(256, 'e');
    check_bad_root(whole_image(names), "is no name");
    names = root_names();
    names[0].nid = k_folder;
    check_bad_root(whole_image(names), "entry '.' is another inode");
    names = root_names();
    names[2].type = 7;
    check_bad_root(whole_image(names), "is of type 7");
    names = root_names();
    names[2].nid = 1U << 20;
    check_bad_root(whole_image(names), "outside of the image");
    names[2].nid = k_file | std::uint64_t{1} << 63;
    check_bad_root(whole_image(names), "there is no metabox");
    std::string bytes = whole_image();
    for (const unsigned offset : {0U, 11U, 61U, 4000U}) {
      put(bytes, k_root * 32 + 32 + 8, offset, 2);
      check_bad_root(bytes, "names begin at byte");
    }
    bytes = whole_image();
    put(bytes, k_root * 32 + 32 + 12 + 8, 10'000, 2);
    check_bad_root(bytes, "has no place");
  }

  TEST_CASE("a directory below itself ends the walk") {
    auto names = root_names();
    names[3].nid = k_root;
    const auto tree = opened(whole_image(names));
    const auto walked = image::walk(*tree, [](const image::WalkEntry&) -> image::Result<> { return {}; });
    REQUIRE_FALSE(walked.has_value());
    CHECK(walked.error().kind == ErrorKind::corrupt);
  }

  TEST_CASE("inodes that contradict themselves are refused") {
    const auto refused = [](std::size_t at, std::uint64_t value, std::size_t width,
                            const std::string& reason) {
      std::string bytes = whole_image();
      put(bytes, k_file * 32 + at, value, width);
      const auto tree = opened(bytes);
      const auto info = tree->stat({k_file});
      const auto file =
          info ? tree->open({k_file}) : image::Result<std::unique_ptr<image::RandomAccess>>(nullptr);
      const std::string what = info ? (file ? "" : file.error().what) : info.error().what;
      CHECK_MESSAGE(what.find(reason) != std::string::npos, what);
      CHECK(what.starts_with("inode 80: "));
    };
    refused(0, 0x20, 2, "format");
    refused(0, 5 << 1, 2, "format");
    refused(4, 0, 2, "mode");
    refused(2, 0xFFFF, 2, "attributes go beyond");
    refused(8, 4000, 4, "cross a block's end");
    refused(8, 0xFFFFFFFF, 4, "outside of the image");
  }

  TEST_CASE("places outside of the image are refused, however large the numbers") {
    std::string bytes = whole_image();
    put(bytes, k_file * 32, 1, 2);  // extended, plain
    put(bytes, k_file * 32 + 8, 100, 8);
    for (const std::uint64_t block : {std::uint64_t{2}, std::uint64_t{0xFFFFFFFF}}) {
      put(bytes, k_file * 32 + 16, block, 4);
      CHECK_FALSE(opened(bytes)->open({k_file}).has_value());
    }
    put(bytes, k_file * 32 + 6, 0xFFFF, 2);  // with it, all bits are set: a hole
    const auto hole = opened(bytes)->open({k_file});
    CHECK(hole.has_value());
    put(bytes, k_file * 32 + 8, ~std::uint64_t{0}, 8);
    CHECK_FALSE(opened(bytes)->stat({k_file}).has_value());
  }

  TEST_CASE("chunks: numbers of 4 bytes, holes, and chunks outside of the image") {
    std::string bytes = whole_image();
    add(bytes, k_file, k_file_mode, std::string("\x01\0\0\0\xFF\xFF\xFF\xFF\x09\0\0\0", 12));
    put(bytes, k_file * 32, 4 << 1, 2);
    put(bytes, k_file * 32 + 8, 2 * k_block + 10, 4);
    put(bytes, k_file * 32 + 16, 0, 4);
    bytes[k_block] = 'x';
    const auto tree = opened(bytes);
    const auto file = tree->open({k_file});
    REQUIRE(file.has_value());
    CHECK(*image::read_exact(**file, 0, 2) == std::string("x\0", 2));
    CHECK(*image::read_exact(**file, k_block - 1, k_block + 1) == std::string(k_block + 1, '\0'));
    const auto outside = image::read_exact(**file, 2 * k_block, 10);
    REQUIRE_FALSE(outside.has_value());
    CHECK(outside.error().what == "inode 80: chunk 2 lies outside of the image");
    put(bytes, k_file * 32 + 16, 0x80, 4);
    CHECK_FALSE(opened(bytes)->open({k_file}).has_value());
  }

  TEST_CASE("link targets are bounded") {
    std::string bytes = whole_image();
    put(bytes, k_link * 32 + 8, 0, 4);
    CHECK_FALSE(opened(bytes)->readlink({k_link}).has_value());
    put(bytes, k_link * 32 + 8, 5, 4);
    CHECK_FALSE(opened(bytes)->readlink({k_link}).has_value());  // a NUL is part of it
    CHECK_FALSE(opened(bytes)->readlink({k_file}).has_value());
  }
}
