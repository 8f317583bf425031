#include "evidence/plain_text.hpp"
#include "evidence/run_cast.hpp"
#include "evidence/run_log.hpp"
#include "format/json.hpp"
#include "support/temp_dir.hpp"
#include "sys/file.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>

#include <string>

using namespace orch::evidence;
namespace sys = orch::sys;

namespace {

RunLog make_log(const std::string& path, std::uint64_t limit) {
  return RunLog(*sys::open_file(path, O_RDWR | O_CREAT | O_APPEND), path, limit);
}

std::string some_bytes(std::size_t count) {
  std::string out;
  for (std::size_t i = 0; out.size() < count; ++i) out += std::to_string(i) + "\n";
  return out.substr(0, count);
}

std::string plain(std::string_view bytes, std::size_t piece) {
  PlainText text;
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += piece) out += text.add(bytes.substr(at, piece));
  return out + text.finish();
}

}  // namespace

TEST_CASE("a log within its limit has every byte, one beyond it the beginning and the end") {
  const orch::test::TempDir folder;
  for (const std::size_t piece : {1U, 7U, 64U, 1000U}) {
    for (const std::size_t size : {0U, 63U, 64U, 100U, 127U, 128U, 129U, 500U, 5000U}) {
      CAPTURE(piece);
      CAPTURE(size);
      const std::string path = folder.path() + "/log";
      const std::string bytes = some_bytes(size);
      {
        RunLog log = make_log(path, 128);
        for (std::size_t at = 0; at < size; at += piece) log.write(std::string_view(bytes).substr(at, piece));
        log.finish();
        CHECK(log.seen() == size);
        CHECK(log.bytes() + log.left_out() == size);
        CHECK(log.truncated() == (log.left_out() != 0));
        if (size <= 96) CHECK(log.left_out() == 0);  // half, and at least one of two quarters
        CHECK(log.bytes() <= 128);
        std::string wanted = bytes;
        if (log.left_out() != 0)
          wanted = bytes.substr(0, 64) + "\n[appimage-orch: " + std::to_string(log.left_out()) +
                   " bytes are left out here]\n" + bytes.substr(64 + log.left_out());
        CHECK(*sys::read_file(path) == wanted);
      }
      CHECK(sys::list_dir(folder.path())->size() == 1);
      CHECK(sys::remove_tree(path).has_value());
    }
  }
}

TEST_CASE("a cast is one JSON line for each frame, and no character is cut") {
  const orch::test::TempDir folder;
  const std::string path = folder.path() + "/cast";
  {
    RunCast cast(*sys::open_file(path, O_WRONLY | O_CREAT), {100, 30, 1234, "a \"name\""});
    cast.write("one ", 0.5);
    cast.write("frame\r\n", 0.505);
    cast.write("\xC3", 1);
    cast.write("\xA4\x1B[1m\xFF", 2);
    cast.write("\xF0\x9F\x98", 3);  // never completed
    cast.finish();
  }
  CHECK(
      *sys::read_file(path) ==
      "{\"version\": 2, \"width\": 100, \"height\": 30, \"timestamp\": 1234, \"title\": \"a \\\"name\\\"\"}\n"
      "[0.500000, \"o\", \"one frame\\u000d\\u000a\"]\n"
      "[1.000000, \"o\", \"\xC3\xA4\\u001b[1m\xEF\xBF\xBD\"]\n"
      "[3.000000, \"o\", \"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"]\n");
}

TEST_CASE("any bytes become a JSON string") {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  for (const std::string& bytes : {all, std::string("\xE0\x80\x80 \xED\xA0\x80 \xF4\x90\x80\x80 \xC0\x80"),
                                   std::string("\xEF\xBF\xBD")}) {
    const auto value = orch::format::parse_json(json_text(bytes), "text");
    REQUIRE(value);
    CHECK(value->is_string());
  }
  CHECK(open_character("a") == 0);
  CHECK(open_character("a\xC3") == 1);
  CHECK(open_character("\xE2\x82") == 2);
  CHECK(open_character("\xE2\x82\xAC") == 0);
  CHECK(open_character("\x82\x82\x82\x82") == 0);
}

TEST_CASE("plain text has no escape sequences, wherever the pieces are cut") {
  const std::string bytes =
      "\x1B[1;31mred\x1B[0m\r\n\x1B]0;title\x07text\x1B]8;;http://x\x1B\\link\x1B]8;;\x1B\\\n"
      "10%\r20%\r100%\r\n\ttab\x08\x1B(B\x1B=end \xC3\xA4\x1BPq#1\x1B\\!\x1B[?25l\x1B[\x18x\r";
  const std::string wanted = "red\ntextlink\n10%\n20%\n100%\n\ttabend \xC3\xA4!x\n";
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) CHECK(plain(bytes, piece) == wanted);
}
