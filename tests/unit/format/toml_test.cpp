#include "format/toml.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using orch::base::Value;
using orch::format::parse_toml_text;
using orch::format::toml_string;

namespace {

Value parsed(std::string text) {
  auto value = parse_toml_text("p.toml", std::move(text));
  REQUIRE_MESSAGE(value.has_value(), orch::base::render(value ? orch::base::Error() : value.error()));
  return *value;
}

std::string message(std::string text) {
  const auto value = parse_toml_text("p.toml", std::move(text));
  REQUIRE_FALSE(value.has_value());
  CHECK(value.error().kind == orch::base::ErrorKind::profile);
  return orch::base::render(value.error());
}

std::string keys(const Value& table) {
  std::string out;
  for (const auto& member : table.as_object()) out += member.key + " ";
  return out;
}

}  // namespace

TEST_SUITE("format/toml") {
  TEST_CASE("members keep the order of the file") {
    const Value value = parsed("zeta = 1\nalpha = 2\n[mid]\ny = 1\nb = 2\n[aaa]\n\"+k\" = [1]\n");
    CHECK(keys(value) == "zeta alpha mid aaa ");
    CHECK(keys(*value.find("mid")) == "y b ");
    CHECK(value.find("aaa")->find("+k")->as_array().size() == 1);
  }

  TEST_CASE("every type has its value") {
    const Value value =
        parsed("s = 'x'\ni = -3\nf = 1.5\nb = true\nd = 1979-05-27\na = [1, 'two', [3]]\nt = {k = 1}\n");
    CHECK(value.find("s")->as_string() == "x");
    CHECK(value.find("i")->as_int() == -3);
    CHECK(value.find("f")->as_double() == 1.5);
    CHECK(value.find("b")->as_bool());
    CHECK(value.find("d")->as_string() == "1979-05-27");
    CHECK(value.find("a")->as_array()[2].as_array()[0].as_int() == 3);
    CHECK(value.find("t")->find("k")->as_int() == 1);
  }

  TEST_CASE("columns count bytes, for keys and for values") {
    const Value value = parsed("a = 'é'\nb = { k = 'éé', second = 'x' }\n");
    const auto& b = value.as_object()[1];
    CHECK(b.key_span.location() == "p.toml:2:1");
    const auto& second = b.value.as_object()[1];
    CHECK(second.key_span.location() == "p.toml:2:19");
    CHECK(second.key_span.length == 6);
    CHECK(second.value.span.location() == "p.toml:2:28");
    CHECK(second.value.span.length == 3);
  }

  TEST_CASE("a byte order mark does not count as text") {
    const Value value = parsed("\xEF\xBB\xBFkey = 1\n");
    CHECK(value.as_object()[0].key == "key");
    CHECK(value.as_object()[0].key_span.location() == "p.toml:1:4");
  }

  TEST_CASE("tables of an array keep the place of their header") {
    const Value value = parsed("[[step]]\nname = 'a'\n\n[[step]]\nname = 'b'\n");
    CHECK(value.find("step")->as_array()[1].span.location() == "p.toml:4:1");
  }

  TEST_CASE("a syntax error points at its place and says what was expected") {
    CHECK(message("name = bambu\n") ==
          "p.toml:1:8: error: expected a value: \"text\" in quotes, a number, true, false, [a list] or {a "
          "table}\n"
          " 1 | name = bambu\n"
          "   |        ^\n"
          "  hint: put text in double quotes\n");
    CHECK(message("[app\nx = 1\n") ==
          "p.toml:1:5: error: expected ']', found the end of the line\n"
          " 1 | [app\n"
          "   |     ^\n");
    CHECK(message("x = \n").find("p.toml:1:5: error: expected a value after '='\n") == 0);
    CHECK(message("x = \"abc\n").find("error: this text has no closing quote on its line\n") !=
          std::string::npos);
    CHECK(message("x = [1,\n2\n").find("error: this array is not complete\n") != std::string::npos);
  }

  TEST_CASE("the caret stands at the start of a word that is no value") {
    CHECK(message("é = 1\n").find("p.toml:1:1: error: expected a key or a [table header]\n") == 0);
    CHECK(message("name = false_friend\n").find("p.toml:1:") == 0);
    CHECK(message("name = [ foo ]\n").find("p.toml:1:10: error: expected a value") == 0);
  }

  TEST_CASE("a second definition names the first") {
    CHECK(message("[app]\nname = 1\nargs = []\nname = 2\n") ==
          "p.toml:4:1: error: 'name' is defined a second time\n"
          " 4 | name = 2\n"
          "   | ^~~~\n"
          "p.toml:2:1: note: first defined here\n"
          " 2 | name = 1\n"
          "   | ^~~~\n"
          "  hint: keep one of them\n");
    CHECK(message("[a.b]\n[c]\n[a.b]\n").find("p.toml:1:1: note: first defined here\n") != std::string::npos);
  }

  TEST_CASE("hostile input is refused, not crashed upon") {
    CHECK(message("x = \"\xff\"\n").find("not valid UTF-8") != std::string::npos);
    CHECK(message(std::string("x = \0", 5)).find("p.toml:1:") == 0);
    CHECK(message("x = " + std::string(5000, '[')).find("error: ") != std::string::npos);
    CHECK(message("x").find("p.toml:1:2: error: ") == 0);
  }

  TEST_CASE("a written string reads back") {
    const std::string text = "a \"b\" \\ \n\t\x01 é \x7f";
    CHECK(parsed("x = " + toml_string(text)).find("x")->as_string() == text);
  }
}

TEST_CASE("where a string ends") {
  using orch::format::toml_string_end;
  for (const std::string text : {R"("")", R"('')", R"("a\"b")", R"('a\')", R"("""a""b\"""")", R"("""a""""")",
                                 R"('''a\'''')", R"("""""")", R"("a\\")", "\"\"\"a\n\"b\"\"\""}) {
    CAPTURE(text);
    CHECK(parsed("x = " + text).find("x") != nullptr);
    CHECK(toml_string_end("x = " + text + " # \"", 4) == 4 + text.size());
  }
  CHECK(toml_string_end("\"", 0) == 1);
}
