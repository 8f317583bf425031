#include "image/erofs_writer.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

using orch::image::compressor_libraries;
using orch::image::erofs_command;
using orch::image::ErofsOptions;
using orch::image::ErofsTool;
using orch::image::parse_erofs_tool;

namespace {

constexpr std::string_view k_usage_15 =
    "\nusage: [options] FILE DIRECTORY\n\nGenerate erofs image from DIRECTORY to FILE, and [options] are:\n"
    " -d#                   set output message level to # (maximum 9)\n -zX[,Y]  X=compressor\n\n"
    "Available compressors are: lz4hc, lz4\n";
constexpr std::string_view k_usage_18 =
    "\nUsage: mkfs.erofs [OPTIONS] FILE SOURCE(s)\n -V, --version  print the version\n -b#   set block size "
    "to #\n"
    " -zX[,level=Y]         X=compressor\n           [,dictsize=Z]\n --workers=#           set the number of "
    "worker threads\n";
constexpr std::string_view k_version_18 =
    "mkfs.erofs (erofs-utils) 1.8.6\navailable compressors: lz4, lz4hc, lzma, deflate, libdeflate, zstd\n";

bool has(const std::vector<std::string>& argv, std::string_view word) {
  return std::find(argv.begin(), argv.end(), word) != argv.end();
}

std::vector<std::string> command(const ErofsTool& tool, const ErofsOptions& options) {
  const auto argv = erofs_command(tool, options, "/tree", "/image");
  if (!argv) FAIL(orch::base::render(argv.error()));
  return *argv;
}

}  // namespace

TEST_SUITE("image/erofs_writer") {
  TEST_CASE("version and abilities come from what the program prints") {
    const ErofsTool old = parse_erofs_tool("/m", "mkfs.erofs 1.5\n", k_usage_15).value();
    CHECK(old.version == "1.5");
    CHECK_FALSE(old.block_size);
    CHECK_FALSE(old.workers);
    CHECK(old.compressors == std::vector<std::string>{"lz4", "lz4hc"});
    const ErofsTool recent = parse_erofs_tool("/m", k_version_18, k_usage_18).value();
    CHECK(recent.version == "1.8.6");
    CHECK(recent.block_size);
    CHECK(recent.workers);
    CHECK(recent.compressors.size() == 6);
    CHECK_FALSE(parse_erofs_tool("/m", "something else\n", k_usage_18).has_value());
  }

  TEST_CASE("the command fixes times, owner, UUID and block size, and takes no attributes") {
    ErofsOptions options;
    options.uuid = orch::image::uuid_from_digest(orch::hash::digest_of("x"));
    const ErofsTool old = parse_erofs_tool("/m", "mkfs.erofs 1.5\n", k_usage_15).value();
    const auto argv = command(old, options);
    for (const char* word : {"-T0", "--all-root", "-x-1", "-zlz4", "-C65536", "--quiet"})
      CHECK(has(argv, word));
    CHECK(has(argv, "-U" + orch::image::to_string(options.uuid)));
    CHECK_FALSE(has(argv, "-b4096"));
    CHECK(argv.back() == "/tree");
    const ErofsTool recent = parse_erofs_tool("/m", k_version_18, k_usage_18).value();
    options.workers = 3;
    CHECK(has(command(recent, options), "-b4096"));
    CHECK(has(command(recent, options), "--workers=3"));
    options.compressor = "";
    options.cluster = 0;
    for (const std::string& word : command(recent, options)) {
      CHECK_FALSE(word.starts_with("-z"));
      CHECK_FALSE(word.starts_with("-C"));
    }
  }

  TEST_CASE("what this mkfs.erofs cannot do is refused by name") {
    const ErofsTool old = parse_erofs_tool("/m", "mkfs.erofs 1.5\n", k_usage_15).value();
    ErofsOptions options;
    options.compressor = "zstd,3";
    CHECK(erofs_command(old, options, "/t", "/i").error().what == "mkfs.erofs 1.5 has no compressor 'zstd'");
    options.compressor = "lz4 -E x";
    CHECK(erofs_command(old, options, "/t", "/i").error().what == "'lz4 -E x' is no compressor");
    options = {};
    options.cluster = 5000;
    CHECK(erofs_command(old, options, "/t", "/i").error().what == "a cluster of 5000 bytes is not possible");
  }

  TEST_CASE("a name that mkfs.erofs 1.5 would fail on is named before it runs") {
    const ErofsTool old = parse_erofs_tool("/m", "mkfs.erofs 1.5\n", k_usage_15).value();
    orch::hash::TreeListing listing;
    listing.entries.push_back(
        {"usr/" + std::string(255, 'n'), orch::hash::EntryType::file, 0644, 0, {}, {}, {}});
    orch::sys::SystemProcessRunner processes;
    const auto written = write_erofs(old, {}, "/nonexistent", listing, "/nonexistent/image", processes);
    REQUIRE_FALSE(written.has_value());
    CHECK(written.error().what.find("mkfs.erofs 1.5 cannot write the file name 'usr/nnn") == 0);
    CHECK(written.error().hint == "install erofs-utils 1.6 or newer");
  }

  TEST_CASE("a missing mkfs.erofs names its package") {
    orch::sys::SystemProcessRunner processes;
    const auto tool = orch::image::probe_erofs_tool("/nonexistent/mkfs.erofs", processes);
    REQUIRE_FALSE(tool.has_value());
    CHECK(tool.error().hint == "install the package 'erofs-utils'");
  }

  TEST_CASE("compressor libraries are named by their versions") {
    const std::string trace =
        "\tlinux-vdso.so.1 (0x1)\n\tliblz4.so.1 => /lib/liblz4.so.1 (0x2)\n\tlibzstd.so.1 => "
        "/lib/libzstd.so.1 (0x3)\n";
    CHECK(compressor_libraries(trace, {{"/lib/liblz4.so.1", "/usr/lib/liblz4.so.1.9.4"},
                                       {"/lib/libzstd.so.1", "/usr/lib/libzstd.so.1.5.4"}}) ==
          " + liblz4 1.9.4 + libzstd 1.5.4");
    CHECK(compressor_libraries("\tstatically linked\n", {}).empty());
  }

  TEST_CASE("equal trees get equal UUIDs of a valid form") {
    const std::string text =
        orch::image::to_string(orch::image::uuid_from_digest(orch::hash::digest_of("tree")));
    CHECK(text.size() == 36);
    CHECK(text[14] == '8');
    CHECK(std::string("89ab").find(text[19]) != std::string::npos);
    CHECK(text == orch::image::to_string(orch::image::uuid_from_digest(orch::hash::digest_of("tree"))));
    CHECK(text != orch::image::to_string(orch::image::uuid_from_digest(orch::hash::digest_of("other"))));
  }
}
