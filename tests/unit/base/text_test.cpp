#include "base/text.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace orch::base;

TEST_SUITE("base/text") {
  TEST_CASE("split keeps empty parts, join undoes it") {
    CHECK(split("", ',').size() == 1);
    CHECK(split(",a,", ',').size() == 3);
    const std::vector<std::string> parts{"", "a", ""};
    CHECK(join(parts, ",") == ",a,");
    CHECK(join({}, ",").empty());
  }

  TEST_CASE("trim takes blanks from both ends only") {
    CHECK(trim(" \t a b \r\n") == "a b");
    CHECK(trim(" \n").empty());
  }

  TEST_CASE("UTF-8 is what RFC 3629 says") {
    for (const char* good : {"", "abc", "é", "€", "\xF0\x9F\x98\x80", "\xEF\xBB\xBF"}) CHECK(is_utf8(good));
    // A continuation alone, a cut sequence, overlong forms, a surrogate, above U+10FFFF, never used bytes.
    for (const char* bad : {"\x80", "\xC3", "\xC0\xAF", "\xE0\x80\xAF", "\xF0\x80\x80\xAF", "\xED\xA0\x80",
                            "\xF4\x90\x80\x80", "\xFF", "a\xE2\x82"})
      CHECK_FALSE(is_utf8(bad));
  }

  TEST_CASE("printable text cannot drive a terminal and can be told from what was written") {
    CHECK(printable("plain é") == "plain é");
    CHECK(printable("a\x1b[2J\n\x7f") == "a\\x1b[2J\\x0a\\x7f");
    CHECK(printable("\xC2\x9B") == "\\xc2\\x9b");  // C1: CSI in one character
    CHECK(printable("\xC2\xA0") == "\xC2\xA0");
    CHECK(printable("\xff\\x") == "\\xff\\\\x");
    CHECK(printable(std::string(1, '\0')) == "\\x00");
    CHECK(is_utf8(printable("\xE2\x82")));
  }

  TEST_CASE("a text is cut between characters") {
    CHECK(shortened("abcdef", 6) == "abcdef");
    CHECK(shortened("abcdefg", 6) == "abc...");
    CHECK(shortened("äöüäöü", 6) == "äöüäöü");
    CHECK(shortened("äöüäöüä", 6) == "äöü...");
    CHECK(shortened("a\xC3\xFF"
                    "bcdef",
                    6) ==
          "a\xC3\xFF"
          "...");
    CHECK(shortened("", 4).empty());
  }

  TEST_CASE("words are quoted as a shell reads them") {
    CHECK(shell_quote("plain-1.2_x/y:z@%+=,") == "plain-1.2_x/y:z@%+=,");
    CHECK(shell_quote("") == "''");
    CHECK(shell_quote("a b") == "'a b'");
    CHECK(shell_quote("it's") == "'it'\\''s'");
    CHECK(shell_quote("$HOME") == "'$HOME'");
    CHECK(shell_quote("~") == "'~'");
    CHECK(shell_quote("é") == "'é'");
    const std::vector<std::string> argv{"echo", "a b", ""};
    CHECK(shell_join(argv) == "echo 'a b' ''");
  }

  TEST_CASE("hex goes both ways") {
    const std::vector<std::uint8_t> bytes{0x00, 0x7f, 0xff};
    CHECK(hex(bytes) == "007fff");
    CHECK(unhex("007fFF") == bytes);
    CHECK_FALSE(unhex("abc").has_value());
    CHECK_FALSE(unhex("zz").has_value());
    CHECK(unhex("")->empty());
  }

  // Vectors of RFC 4648, section 10.
  TEST_CASE("base64 pads to groups of four") {
    CHECK(base64("").empty());
    CHECK(base64("f") == "Zg==");
    CHECK(base64("fo") == "Zm8=");
    CHECK(base64("foo") == "Zm9v");
    CHECK(base64("foob") == "Zm9vYg==");
    CHECK(base64("fooba") == "Zm9vYmE=");
    CHECK(base64("foobar") == "Zm9vYmFy");
    CHECK(base64("\xff\xfe\xfd") == "//79");
  }

  TEST_CASE("sizes and times are short") {
    CHECK(human_size(0) == "0 bytes");
    CHECK(human_size(1023) == "1023 bytes");
    CHECK(human_size(1536) == "1.5 KiB");
    CHECK(human_size(std::uint64_t{3} << 30) == "3.0 GiB");
    CHECK(human_seconds(0.0351) == "35 ms");
    CHECK(human_seconds(1.25) == "1.2 s");
    CHECK(human_seconds(123.4) == "2 min 3 s");
  }

  TEST_CASE("the nearest word is near") {
    const std::vector<std::string> words{"launcher", "gpu_mode", "vm", "timeout"};
    CHECK(nearest("gpu_mod", words) == "gpu_mode");
    CHECK(nearest("tiemout", words) == "timeout");  // neighbours swapped are one mistake
    CHECK(nearest("lanucer", words) == "launcher");
    CHECK(nearest("vn", words) == "vm");
    CHECK_FALSE(nearest("environment", words).has_value());
    CHECK_FALSE(nearest("x", {}).has_value());
    CHECK_FALSE(nearest("", words).has_value());
  }
}
