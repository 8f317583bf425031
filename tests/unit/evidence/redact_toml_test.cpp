#include "evidence/redact.hpp"
#include "format/toml.hpp"
#include "support/one_in.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <random>
#include <string>
#include <vector>

using orch::evidence::redact_toml;

namespace {

using Words = std::vector<std::string>;

// Makes tables with one secret in them, in every spelling that TOML has.
class Maker {
 public:
  // Two words that nothing else has, and between them what is awkward in one kind of string or another.
  std::string secret() {
    std::string out = "hunter";
    for (int i = up_to(4); i > 0; --i)
      out +=
          one_of({"\"", "'", "\\", " ", ",", "=", "]", "}", "#", "\n", "\t", "x", "\xC3\xA4", "\"\"", "''"});
    return out + "swordfish";
  }

  std::string setting(const std::string& secret) {
    const std::string name =
        one_of({"GITHUB_TOKEN", "my_token", "Api-Key", "db_password", "npm_config__auth"});
    return key(name) + one_of({"=", " = ", "\t= "}) + spelled(secret);
  }

  // Of the table [app]: a line or several.
  std::string piece(const std::string& secret) {
    const std::string comment = one_of({"", " # a comment, \"not closed"});
    const std::string line = one_of({"", "\n", "\n  "});
    const std::string option = one_of({"--token", "--api-key", "--db-password"});
    switch (up_to(3)) {
      case 0:
        return "env = { A = \"b\", " + setting(secret) + " }" + comment;
      case 1:
        return "env." + setting(secret) + comment;
      case 2:
        return "args = [" + line + spelled(option + "=" + secret) + "," + line + "\"--other\"]" + comment;
      default:
        return "args = [\"x\"," + line + spelled(option) + one_of({",", " , # which \"?\n"}) +
               spelled(secret) + line + "]" + comment;
    }
  }

  std::string one_of(const Words& words) {
    return words[static_cast<std::size_t>(up_to(static_cast<int>(words.size()) - 1))];
  }
  int up_to(int most) { return std::uniform_int_distribution<int>(0, most)(chance_); }

 private:
  std::string key(const std::string& name) {
    switch (up_to(3)) {
      case 0:
        return "\"" + name + "\"";
      case 1:
        return "'" + name + "'";
      case 2:
        return fmt::format("\"\\u{:04X}{}\"", static_cast<unsigned char>(name[0]), name.substr(1));
      default:
        return name;
    }
  }

  std::string spelled(const std::string& text) {
    const int kind = up_to(3);
    if (kind == 0 && text.find_first_of("\n'") == std::string::npos) return "'" + text + "'";
    if (kind == 1 && text.find("'''") == std::string::npos) return "'''" + one_of({"", "\n"}) + text + "'''";
    return kind == 2 ? "\"\"\"" + one_of({"", "\n"}) + escaped(text, true) + "\"\"\""
                     : "\"" + escaped(text, false) + "\"";
  }

  std::string escaped(const std::string& text, bool several_lines) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const char c = text[i];
      const bool plain = static_cast<unsigned char>(c) >= 0x80;
      if (!plain && up_to(5) == 0)
        out += fmt::format("\\u{:04X}", static_cast<unsigned char>(c));
      else if (c == '"' || c == '\\')
        out += std::string("\\") + c;
      else if (c == '\n')
        out += several_lines ? "\n" : "\\n";
      else
        out += c;
      // A line that goes on, without the blanks that it begins with.
      const auto is_letter = [](char letter) { return letter >= 'a' && letter <= 'z'; };
      const bool word = is_letter(c) && i + 1 < text.size() && is_letter(text[i + 1]);
      if (several_lines && word && up_to(7) == 0) out += "\\\n   ";
    }
    return out;
  }

  std::mt19937 chance_{230417};
};

}  // namespace

TEST_CASE("secrets are taken out of TOML in every spelling, and nothing else is") {
  Maker make;
  const unsigned rounds = 20'000 / orch::test::one_in();
  for (unsigned round = 0; round < rounds; ++round) {
    const std::string before =
        make.one_of({"", "\xEF\xBB\xBF"}) + "schema = 1 # it's \xC3\xA4\nname = '\xE2\x82\xAC'\n";
    const std::string after = "\n[stack]\nbase = \"\"\"a\nb\"\"\"\nkey = \"plain\"\n";
    const std::string middle = make.up_to(2) == 0
                                   ? "[app.env]\n'\xC3\xA4' = 'b'\n" + make.setting(make.secret())
                                   : "[app]\n" + make.piece(make.secret());
    const std::string text = before + middle + after;
    CAPTURE(text);
    const auto meaning = orch::format::parse_toml_text("p", text);
    REQUIRE(meaning);
    const std::string out = redact_toml(text);
    CAPTURE(out);
    const auto again = orch::format::parse_toml_text("p", out);
    REQUIRE(again);
    REQUIRE(*again == orch::evidence::redact(*meaning));
    REQUIRE(out.starts_with(before));
    REQUIRE(out.ends_with(after));
    REQUIRE(redact_toml(out) == out);
    for (const std::string& shown : {out, again->canonical()})
      for (const char* word : {"hunter", "swordfish"}) REQUIRE(shown.find(word) == std::string::npos);
  }
}

TEST_CASE("TOML without secrets stays as it is; what is no TOML is not shown") {
  for (const std::string text :
       {"", "a = 1", "key = \"plain\" # the key is plain\r\nx = nan\r\nd = 1979-05-27\r\n",
        "[app]\nenv = { A = '''\"\"\"''', B = \"\"\"a\\\"\"\"\"\" } # '\nargs = [\"--token\", \"--v\"]"})
    CHECK(redact_toml(text) == text);
  CHECK(redact_toml("A_TOKEN = x") == "[redacted]");
}

TEST_CASE("a setting in a comment is taken out, too") {
  CHECK(redact_toml("# my_token = \"x\" y\n") == "# my_token = [redacted]\n");
  CHECK(redact_toml("a = 1 # \"GITHUB_TOKEN\" = x\r\n") == "a = 1 # \"GITHUB_TOKEN\" = [redacted]\r\n");
  CHECK(redact_toml("a = '#' # --token x y\n") == "a = '#' # --token [redacted] y\n");
  CHECK(redact_toml("# a = b: c\n") == "# a = b: c\n");
  CHECK(redact_toml("a = '# token: b'\n") == "a = '# token: b'\n");
}
