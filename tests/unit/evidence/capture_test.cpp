#include "evidence/plain_text.hpp"
#include "evidence/run_cast.hpp"
#include "evidence/run_log.hpp"
#include "format/json.hpp"
#include "support/temp_dir.hpp"
#include "sys/file.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
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

// No file of this process grows beyond so many bytes.
class LargestFile {
 public:
  explicit LargestFile(rlim_t bytes) {
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
    const struct rlimit wanted = {bytes, before_.rlim_max};
    before_handler_ = ::signal(SIGXFSZ, SIG_IGN);
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &wanted) == 0);
  }
  LargestFile(const LargestFile&) = delete;
  LargestFile& operator=(const LargestFile&) = delete;
  ~LargestFile() {
    (void)::setrlimit(RLIMIT_FSIZE, &before_);
    (void)::signal(SIGXFSZ, before_handler_);
  }

 private:
  struct rlimit before_ = {};
  void (*before_handler_)(int) = nullptr;
};

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

TEST_CASE("a log whose end cannot be put behind it ends with a whole line, and its end is kept") {
  const orch::test::TempDir folder;
  const std::string path = folder.path() + "/log";
  const std::string bytes = some_bytes(1002);    // whole lines
  const std::string head = bytes.substr(0, 62);  // the lines of 64 bytes
  for (rlim_t most = 64; most < 200; ++most) {
    CAPTURE(most);
    RunLog log = make_log(path, 128);
    log.write(bytes);
    {
      const LargestFile limit(most);
      log.finish();
    }
    const std::string text = *sys::read_file(path);
    CAPTURE(text);
    CHECK(text.ends_with('\n'));
    CHECK(log.truncated());
    const bool whole = !sys::exists(path + ".tail-0") && !sys::exists(path + ".tail-1");
    CHECK(whole == log.problem().empty());
    CHECK(whole == (bytes.substr(bytes.size() - 4) == text.substr(text.size() - 4)));
    const std::size_t note = text.find("\n[appimage-orch: ");
    CHECK((note == std::string::npos) == (log.left_out() == 0));
    if (note == std::string::npos) {
      CHECK(text == head);
      CHECK(log.bytes() == text.size());
    } else {
      const std::size_t behind = text.find("]\n") + 2;
      CHECK(log.bytes() == text.size() - (behind - note));
      CHECK(bytes.substr(64 + log.left_out()).starts_with(text.substr(behind)));
    }
    CHECK(sys::remove_tree(path).has_value());
    for (const char* tail : {".tail-0", ".tail-1"}) CHECK(sys::remove_tree(path + tail).has_value());
  }
}

TEST_CASE("a log whose tail cannot be written ends with the last whole line before that") {
  const orch::test::TempDir folder;
  const std::string path = folder.path() + "/log";
  const std::string bytes = some_bytes(2000);
  for (rlim_t most = 1; most < 300; most += 3) {
    CAPTURE(most);
    RunLog log = make_log(path, 1200);  // 600 bytes, and two tails of 300
    log.write(std::string_view(bytes).substr(0, 600));
    {
      const LargestFile limit(most);
      for (std::size_t at = 600; at < bytes.size(); at += 50)
        log.write(std::string_view(bytes).substr(at, 50));
    }
    log.finish();
    const std::string text = *sys::read_file(path);
    CHECK(text == bytes.substr(0, bytes.rfind('\n', 600 + most - 1) + 1));
    CHECK(log.bytes() == text.size());
    CHECK(log.seen() == bytes.size());
    CHECK(log.left_out() == 0);
    CHECK_FALSE(log.problem().empty());
    CHECK(sys::list_dir(folder.path())->size() == 1);
    CHECK(sys::remove_tree(path).has_value());
  }
}

TEST_CASE("a cast is one JSON line for each frame, and no character is cut") {
  const orch::test::TempDir folder;
  const std::string path = folder.path() + "/cast";
  const auto recorded = [&](bool with_pauses, std::uint64_t more) {
    const sys::Fd log = *sys::open_file(folder.path() + "/log", O_RDWR | O_CREAT | O_TRUNC);
    RunCast cast(*sys::open_file(path, O_WRONLY | O_CREAT | O_TRUNC), log.get(),
                 {100, 30, 1234, "a \"name\""});
    std::uint64_t bytes = 0;
    double time = 0;
    for (const auto& [text, seconds] :
         std::vector<std::pair<std::string, double>>{{"one ", 0.5},
                                                     {"frame\r\n", 0.505},
                                                     {"\xC3", 1},
                                                     {"\xA4\x1B[1m\xFF", 2},
                                                     {"\xF0\x9F\x98", 3}}) {  // never completed
      REQUIRE(sys::write_all(log.get(), text, "log"));
      cast.note(bytes += text.size(), time = with_pauses || seconds < 0.6 ? seconds : time + 0.1);
    }
    cast.finish(bytes + more);
    CHECK(cast.problem().empty());
    return *sys::read_file(path);
  };
  const std::string header =
      "{\"version\": 2, \"width\": 100, \"height\": 30, \"timestamp\": 1234, \"title\": \"a \\\"name\\\"\"}\n"
      "[0.500000, \"o\", \"one frame\\u000d\\u000a\"]\n";
  CHECK(recorded(true, 0) == header +
                                 "[2.000000, \"o\", \"\xC3\xA4\\u001b[1m\xEF\xBF\xBD\"]\n"
                                 "[3.000000, \"o\", \"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"]\n");
  CHECK(recorded(false, 7) == header +
                                  "[0.705000, \"o\", \"\xC3\xA4\\u001b[1m\xEF\xBF\xBD\"]\n"
                                  "[0.805000, \"o\", \"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"]\n"
                                  "[0.805000, \"m\", \"the recording ends here: run.log has the rest\"]\n");
}

TEST_CASE("a recording ends after 16 MiB, and says so; one that cannot be written says why") {
  const orch::test::TempDir folder;
  const sys::Fd log = *sys::open_file(folder.path() + "/log", O_RDWR | O_CREAT);
  constexpr std::uint64_t k_large = 20 << 20;
  REQUIRE(sys::write_all(log.get(), std::string(k_large, 'x'), "log"));
  const std::string path = folder.path() + "/cast";
  RunCast cast(*sys::open_file(path, O_WRONLY | O_CREAT), log.get(), {});
  for (std::uint64_t bytes = 0; bytes <= k_large; bytes += 100'000)
    cast.note(bytes, static_cast<double>(bytes) / 1e6);
  cast.finish(k_large);
  const std::string text = *sys::read_file(path);
  CHECK(std::count(text.begin(), text.end(), 'x') == 16 << 20);
  CHECK(text.ends_with("the recording ends here: run.log has the rest\"]\n"));
  CHECK(RunCast(*sys::open_file("/dev/full", O_WRONLY), log.get(), {}).problem() ==
        "cannot write 'run.cast': No space left on device");
}

TEST_CASE("any bytes become a JSON string") {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  for (const std::string& bytes : {all, std::string("\xE0\x80\x80 \xED\xA0\x80 \xF4\x90\x80\x80 \xC0\x80"),
                                   std::string("\xEF\xBF\xBD")}) {
    std::string text;
    append_json_text(text, bytes);
    const auto value = orch::format::parse_json(text, "text");
    REQUIRE(value);
    CHECK(value->is_string());
  }
  CHECK(open_character("a") == 0);
  CHECK(open_character("a\xC3") == 1);
  CHECK(open_character("\xE2\x82") == 2);
  CHECK(open_character("\xE2\x82\xAC") == 0);
  CHECK(open_character("\x82\x82\x82\x82") == 0);
}

TEST_CASE("every ASCII character is read back, wherever it stands among plain ones") {
  for (int c = 0; c < 0x80; ++c)
    for (std::size_t at = 0; at < 20; ++at) {
      std::string bytes(20, 'x');
      bytes[at] = static_cast<char>(c);
      std::string text;
      append_json_text(text, bytes);
      const auto value = orch::format::parse_json(text, "text");
      REQUIRE(value);
      REQUIRE(value->as_string() == bytes);
      CHECK(text.find('\x7F') == std::string::npos);  // a parser would take it, a terminal would not show it
    }
}

TEST_CASE("plain text has no escape sequences, wherever the pieces are cut") {
  const std::string bytes =
      "\x1B[1;31mred\x1B[0m\r\n\x1B]0;title\x07text\x1B]8;;http://x\x1B\\link\x1B]8;;\x1B\\\n"
      "10%\r20%\r100%\r\n\ttab\x08\x1B(B\x1B=end \xC3\xA4\x1BPq#1\x1B\\!\x1B[?25l\x1B[\x18x\r";
  const std::string wanted = "red\ntextlink\n10%\n20%\n100%\n\ttabend \xC3\xA4!x\n";
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) CHECK(plain(bytes, piece) == wanted);
}
