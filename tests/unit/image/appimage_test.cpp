// Recognising files by their headers, and reading payloads whose headers lie.
#include "image/appimage.hpp"

#include "image/extract.hpp"
#include "image/staging.hpp"
#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>

#include <filesystem>

using namespace orch;
using image::FileKind;
using image::MemoryAccess;
using image::PayloadFormat;

namespace {

void put(std::string& bytes, std::size_t at, std::uint64_t number, std::size_t size) {
  if (bytes.size() < at + size) bytes.resize(at + size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[at + i] = static_cast<char>(number >> (8 * i));
}

// An ELF64 header of `size` bytes in all, with the mark of an AppImage.
std::string runtime(std::string_view mark, std::size_t size = 64) {
  std::string bytes(
      "\x7f"
      "ELF\x02\x01\x01\x00",
      8);
  bytes += mark;
  bytes.resize(size, '\0');
  put(bytes, 16, 2, 2);
  put(bytes, 18, 62, 2);
  return bytes;
}

std::string superblock(std::uint64_t used = 4096) {
  std::string bytes = "hsqs";
  put(bytes, 4, 1, 4);
  put(bytes, 12, 131072, 4);
  put(bytes, 20, 1, 2);
  put(bytes, 22, 17, 2);
  put(bytes, 26, 1, 2);
  put(bytes, 28, 4, 2);
  put(bytes, 30, 0, 2);
  put(bytes, 32, 0, 8);
  put(bytes, 40, used, 8);
  put(bytes, 48, 200, 8);
  put(bytes, 56, ~0ULL, 8);
  put(bytes, 64, 96, 8);
  put(bytes, 72, 150, 8);
  put(bytes, 80, ~0ULL, 8);
  put(bytes, 88, ~0ULL, 8);
  bytes.resize(static_cast<std::size_t>(used), '\0');
  return bytes;
}

image::Identity identify(const std::string& bytes) {
  return *image::identify(MemoryAccess(bytes));
}

constexpr std::string_view k_type_2("AI\x02", 3);

}  // namespace

TEST_CASE("the payload begins where the ELF file ends") {
  const image::Identity identity = identify(runtime(k_type_2) + superblock());
  CHECK(identity.kind == FileKind::appimage);
  CHECK(identity.type == 2);
  CHECK(identity.payload.offset == 64);
  CHECK(identity.payload.size == 4096);
  CHECK_FALSE(identity.payload.scanned);
}

TEST_CASE("sections without bytes in the file do not move the payload, others do") {
  std::string elf = runtime(k_type_2);
  put(elf, 0x28, 64, 8);  // section header table
  put(elf, 0x3A, 64, 2);  // of 64 byte records
  put(elf, 0x3C, 2, 2);   // two of them
  elf.resize(64 + 128, '\0');
  put(elf, 64 + 4, 8, 4);  // NOBITS, far beyond the file
  put(elf, 64 + 24, 1ULL << 40, 8);
  put(elf, 64 + 32, 1ULL << 40, 8);
  put(elf, 128 + 4, 1, 4);  // PROGBITS, behind the table
  put(elf, 128 + 24, 192, 8);
  put(elf, 128 + 32, 100, 8);
  const image::Identity identity = identify(elf + std::string(100, 'x') + superblock());
  CHECK(identity.payload.format == PayloadFormat::squashfs);
  CHECK(identity.payload.offset == 292);
  CHECK_FALSE(identity.payload.scanned);
}

TEST_CASE("headers whose sums overflow lead to a search, not to a wild offset") {
  std::string elf = runtime(k_type_2, 128);
  put(elf, 0x28, ~0ULL - 10, 8);
  put(elf, 0x3A, 64, 2);
  put(elf, 0x3C, 0xFFFF, 2);
  const image::Identity identity = identify(elf + "hsqs is only a word here" + superblock());
  CHECK(identity.payload.format == PayloadFormat::squashfs);
  CHECK(identity.payload.offset == 128 + 24);
  CHECK(identity.payload.scanned);
}

TEST_CASE("a search finds a magic across the border of its windows") {
  for (const std::size_t gap : {(1U << 20) - 3, (1U << 20) - 1, 1U << 20, (1U << 20) + 1}) {
    const image::Identity identity = identify(runtime(k_type_2) + std::string(gap, '\0') + superblock());
    CHECK(identity.payload.offset == 64 + gap);
  }
}

TEST_CASE("every field of a superblock that cannot be is refused") {
  const auto damaged = [](std::size_t at, std::uint64_t number, std::size_t size) {
    std::string bytes = superblock();
    put(bytes, at, number, size);
    return !image::read_squashfs_super(MemoryAccess(bytes), 0);
  };
  CHECK(image::read_squashfs_super(MemoryAccess(superblock()), 0));
  CHECK(damaged(0, 0, 4));
  CHECK(damaged(4, 0, 4));
  CHECK(damaged(12, 2048, 4));
  CHECK(damaged(12, 131073, 4));
  CHECK(damaged(16, 1, 4));
  CHECK(damaged(20, 0, 2));
  CHECK(damaged(20, 7, 2));
  CHECK(damaged(22, 63, 2));
  CHECK(damaged(26, 0, 2));
  CHECK(damaged(28, 3, 2));
  CHECK(damaged(30, 1, 2));
  CHECK(damaged(32, 8192, 8));
  CHECK(damaged(32, ~0ULL, 8));
  CHECK(damaged(40, 95, 8));
  CHECK(damaged(40, 4097, 8));
  CHECK(damaged(48, 4096, 8));
  CHECK(damaged(64, 95, 8));
  CHECK(damaged(72, 4097, 8));
  CHECK(damaged(80, 4096, 8));
}

TEST_CASE("other files are called what they are") {
  CHECK(identify("").kind == FileKind::unknown);
  CHECK(identify("").looks_like == "an empty file");
  CHECK(identify("text").looks_like == "a text file");
  CHECK(identify("PK\x03\x04").looks_like == "a zip archive");
  CHECK(identify(runtime(std::string_view("\0\0\0", 3))).kind == FileKind::elf);
  CHECK(identify(superblock()).kind == FileKind::squashfs);
  CHECK(identify(runtime(std::string_view("RI\x02", 3)) + superblock()).kind == FileKind::runimage);
  std::string iso(40000, '\0');
  iso.replace(32769, 5, "CD001");
  CHECK(identify(iso).kind == FileKind::iso);
  iso.replace(0, 64, runtime(std::string_view("\0\0\0", 3)));
  CHECK(identify(iso).type == 1);
}

TEST_CASE("an AppImage without its payload is one with a problem") {
  const image::Identity cut = identify(runtime(k_type_2) + superblock().substr(0, 2000));
  CHECK(cut.kind == FileKind::appimage);
  REQUIRE(image::payload_problem(cut, "x"));
  CHECK(image::payload_problem(cut, "x")->what.find("cut short") != std::string::npos);
  CHECK(image::payload_problem(identify(runtime(k_type_2)), "x"));
  CHECK(image::payload_problem(identify(runtime(std::string_view("AI\x01", 3))), "x"));
}

TEST_CASE("an EROFS superblock gives block size, UUID and features") {
  std::string bytes(4096, '\0');
  put(bytes, 1024, 0xE0F5E1E2, 4);
  put(bytes, 1024 + 12, 12, 1);
  put(bytes, 1024 + 36, 1, 4);
  put(bytes, 1024 + 80, 0x13 | 0x1000, 4);
  put(bytes, 1024 + 84, 0x9, 2);
  const image::Identity identity = identify(bytes);
  REQUIRE(identity.erofs);
  CHECK(identity.erofs->block_size == 4096);
  CHECK(identity.erofs->uuid == "00000000-0000-0000-0000-000000000000");
  CHECK(image::compressor_names(*identity.erofs) == std::vector<std::string>{"lz4", "zstd"});
  CHECK(image::feature_names(*identity.erofs) ==
        std::vector<std::string>{"zero_padding", "compression_configs", "ztailpacking", "incompat 0x1000"});
  put(bytes, 1024 + 12, 40, 1);
  CHECK(identify(bytes).kind == FileKind::unknown);
}

TEST_CASE("a staging writes nothing through links and outside of itself") {
  const test::TempDir dir;
  auto staging = image::Staging::create(dir / "target");
  REQUIRE(staging);
  CHECK_FALSE(image::Staging::create(dir / "target"));
  const auto sub = staging->add_directory(0, "sub", 0, 1);
  REQUIRE(sub);
  image::StagingWriter writer(*staging);
  for (const std::string name : {"..", ".", "", "a/b", "../x"}) {
    CHECK_FALSE(writer.create_file(*sub, name));
    CHECK_FALSE(writer.make_symlink(*sub, name, "x", 0));
    CHECK_FALSE(writer.make_hard_link(*sub, "x", *sub, name));
    CHECK_FALSE(staging->add_directory(*sub, name, 0755, 0));
  }
  REQUIRE(writer.make_symlink(*sub, "link", "../../outside", 0));
  CHECK_FALSE(writer.create_file(*sub, "link"));
  CHECK_FALSE(staging->add_directory(*sub, "link", 0755, 0));
  CHECK_FALSE(std::filesystem::exists(dir / "outside"));
  auto file = writer.create_file(*sub, "file");
  REQUIRE(file);
  CHECK(writer.finish_file(std::move(*file), *sub, "file", 06755, 7));
  REQUIRE(staging->finish());
  struct stat info {};
  REQUIRE(::stat((dir / "target/sub/file").c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0755);
  CHECK(info.st_mtime == 7);
  REQUIRE(::stat((dir / "target/sub").c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0700);
  CHECK(info.st_mtime == 1);
}

TEST_CASE("backends are known by name") {
  CHECK(*image::parse_backend("auto") == image::Backend::automatic);
  CHECK(*image::parse_backend("unsquashfs") == image::Backend::unsquashfs);
  CHECK_FALSE(image::parse_backend("unsquash"));
}
