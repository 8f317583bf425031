#include "base/error.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <memory>
#include <string>

using orch::base::Error;
using orch::base::ErrorKind;
using orch::base::SourceFile;
using orch::base::SourceSpan;

namespace {

std::shared_ptr<const SourceFile> file(std::string text) {
  return std::make_shared<const SourceFile>(SourceFile{"dir/p.toml", std::move(text)});
}

}  // namespace

TEST_SUITE("base/error") {
  TEST_CASE("a place is written as far as it is known") {
    CHECK(SourceSpan{}.location().empty());
    CHECK(SourceSpan{file("x"), 0, 0, 1}.location() == "dir/p.toml");
    CHECK(SourceSpan{file("x"), 3, 7, 1}.location() == "dir/p.toml:3:7");
  }

  TEST_CASE("the line of a place has no end, whatever ends it") {
    const auto text = file("one\r\ntwo\nlast");
    CHECK(SourceSpan{text, 1, 1, 1}.line_text() == "one");
    CHECK(SourceSpan{text, 2, 1, 1}.line_text() == "two");
    CHECK(SourceSpan{text, 3, 1, 1}.line_text() == "last");
    CHECK(SourceSpan{text, 4, 1, 1}.line_text().empty());
    CHECK(SourceSpan{text, 0, 0, 1}.line_text().empty());
  }

  TEST_CASE("a message has place, line, caret, notes, context and hint") {
    const auto text = file("a = 1\nb = 'xy'\n");
    Error error(ErrorKind::profile, "no good", "do better");
    error.where = SourceSpan{text, 2, 5, 4};
    error.related.emplace_back("because of this", SourceSpan{text, 1, 1, 1});
    error.context = {"reading", "planning"};
    CHECK(render(error, "<", ">") ==
          "dir/p.toml:2:5: <error:> no good\n"
          " 2 | b = 'xy'\n"
          "   |     ^~~~\n"
          "dir/p.toml:1:1: note: because of this\n"
          " 1 | a = 1\n"
          "   | ^\n"
          "  while reading\n"
          "  while planning\n"
          "  hint: do better\n");
    CHECK(one_line(error) == "planning: reading: no good");
  }

  TEST_CASE("an error without a place is one line") {
    CHECK(render(Error(ErrorKind::io, "no good")) == "error: no good\n");
  }

  TEST_CASE("the caret stands under its character, behind tabs and multi-byte characters") {
    const auto text = file("\té = wrong\n");
    Error error(ErrorKind::profile, "x");
    error.where = SourceSpan{text, 1, 7, 5};
    CHECK(render(error) == "dir/p.toml:1:7: error: x\n 1 | \té = wrong\n   | \t    ^~~~~\n");
  }

  TEST_CASE("a mark that leaves its line is cut, control characters do not reach the terminal") {
    const auto text = file("ab\x1b[2J\n");
    Error error(ErrorKind::profile, "x");
    error.where = SourceSpan{text, 1, 2, 100};
    CHECK(render(error) == "dir/p.toml:1:2: error: x\n 1 | ab?[2J\n   |  ^~~~~\n");
    error.where = SourceSpan{text, 1, 500, 1};
    CHECK(render(error).find("      ^\n") != std::string::npos);
  }

  TEST_CASE("a long line is cut around the mark") {
    const auto text = file(std::string(1000, 'a') + "B" + std::string(1000, 'c'));
    Error error(ErrorKind::profile, "x");
    error.where = SourceSpan{text, 1, 1001, 1};
    const std::string message = render(error);
    CHECK(message.size() < 400);
    CHECK(message.find("aB") != std::string::npos);
    const std::size_t line = message.find(" 1 | ");
    const std::size_t mark = message.find("   | ", line);
    CHECK(message.find('B', line) - line == message.find('^', mark) - mark);
  }

  TEST_CASE("the kind of a system error follows from its number") {
    CHECK(orch::base::errno_error(ENOENT, "open", "x").kind == ErrorKind::not_found);
    CHECK(orch::base::errno_error(EACCES, "open", "x").kind == ErrorKind::permission);
    CHECK(orch::base::errno_error(ENOSPC, "write", "x").kind == ErrorKind::no_space);
    CHECK_FALSE(orch::base::errno_error(ENOSPC, "write", "x").hint.empty());
    CHECK(orch::base::errno_error(EIO, "read", "a\nb").kind == ErrorKind::io);
    CHECK(orch::base::errno_error(EIO, "read", "a\nb").what.find("cannot read 'a\\x0ab': ") == 0);
  }
}
