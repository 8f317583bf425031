// Escaping, wrapping and events. That ninja reads back what was written is
// tests/integration/test_ninja_file.py.
#include "ninja/writer.hpp"

#include "ninja/events.hpp"

#include <doctest/doctest.h>

using namespace orch::ninja;

TEST_SUITE("ninja") {
  TEST_CASE("paths and values are escaped") {
    CHECK(escape_path("a b$c:d") == "a$ b$$c$:d");
    CHECK(escape_value(" x$y\nz") == "$ x$$y z");
    CHECK(can_write("a b"));
    CHECK_FALSE(can_write("a\nb"));
    CHECK_FALSE(can_write("a|b"));
  }

  TEST_CASE("long lines break at spaces that are not escaped") {
    Writer writer;
    std::vector<std::string> inputs;
    for (int i = 0; i < 12; ++i) inputs.push_back(escape_path("a folder/file number " + std::to_string(i)));
    writer.build("out", "rule", inputs, {});
    std::string joined;
    std::string_view text = writer.text();
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      std::string_view line = text.substr(0, end);
      CHECK(line.size() < 140);
      text.remove_prefix(end + 1);
      if (line.ends_with(" $")) {
        joined += line.substr(0, line.size() - 1);
        const std::size_t indent = text.find_first_not_of(' ');
        text.remove_prefix(indent);
      } else {
        joined += line;
      }
    }
    std::string wanted = "build out: rule";
    for (const std::string& input : inputs) wanted += " " + input;
    CHECK(joined == wanted);
  }

  TEST_CASE("a word without a space is never broken") {
    Writer writer;
    writer.build("out", "rule", {std::string(300, 'x'), "y"}, {});
    CHECK(writer.text() == "build out: rule $\n    " + std::string(300, 'x') + " $\n    y\n");
  }

  TEST_CASE("events survive the pipe, whatever their message holds") {
    Event event{Event::Kind::finished, "extract-1", "failed", 1.5, "line one\nline\ttwo", "do\nthis"};
    const std::string line = event_line(event);
    CHECK(line.size() < 4096);
    Event back;
    REQUIRE(parse_event(line.substr(0, line.size() - 1), back));
    CHECK(back.step == "extract-1");
    CHECK(back.result == "failed");
    CHECK(back.seconds == doctest::Approx(1.5));
    CHECK(back.message == "line one line two");
    CHECK(back.hint == "do this");
    event.message.assign(10000, 'x');
    event.hint.assign(10000, 'y');
    CHECK(event_line(event).size() < 4096);
    CHECK_FALSE(parse_event("ninja: error", back));
  }
}
