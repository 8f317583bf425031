#include "load/rules.hpp"

#include "load/profile.hpp"
#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using orch::load::load_rules;
using orch::load::read_rule;
using orch::model::CachePolicy;
using orch::model::Rule;

namespace {

constexpr std::string_view k_whole =
    "schema = 1\nid = 'build-it'\nversion = 3\ndescription = 'build ${item.name}'\napply = 'always'\n"
    "for_each = 'layers'\nwhen = { 'item.kind' = ['packages', 'url'], 'x.y' = '*', 'z' = true }\n"
    "action = 'build-it'\npool = 'heavy'\ncache = 'never'\n"
    "[inputs]\ntree = { value = 'app.tree' }\nscript = { file = 'x.sh' }\nlate = { value = 'a.b', optional = "
    "true }\n"
    "[parameters]\nbackend = { value = 'extract.backend', default = 'auto', type = 'string' }\nlevel = 3\n"
    "table = { literal = { a = 1 } }\n"
    "[settings]\nmirror = { value = 'item.source' }\n"
    "[tools]\nmkfs = { program = 'mkfs.erofs', identity = 'erofs-writer', package = 'erofs-utils', optional "
    "= true }\n"
    "jq = 'jq'\n"
    "[outputs]\nzimage = { kind = 'image', provides = 'item.image' }\nfacts = { kind = 'document' }\n";

std::string message(const orch::test::TempDir& dir, std::string_view text) {
  const auto rule = read_rule(dir.write("rule.toml", text));
  return rule ? "no error" : rule.error().what;
}

std::string step_message(std::string_view text, const orch::load::Rules& rules = {}) {
  const orch::test::TempDir dir;
  const orch::sys::Environment environment{{"HOME", "/home/x"}};
  const orch::load::Surroundings surroundings{&environment, dir / "config", dir / "data"};
  const auto profile = orch::load::load_profile(dir.write("p.toml", text), surroundings, rules);
  return profile ? "no error" : profile.error().what;
}

}  // namespace

TEST_SUITE("load/rules") {
  TEST_CASE("a rule file is read whole") {
    const orch::test::TempDir dir;
    dir.write("x.sh", "");
    const auto read = read_rule(dir.write("rule.toml", k_whole));
    if (!read) FAIL(orch::base::render(read.error()));
    const Rule& rule = *read;
    CHECK(rule.id == "build-it");
    CHECK(rule.version == 3);
    CHECK(rule.description == "build ${item.name}");
    CHECK(rule.for_each == "layers");
    REQUIRE(rule.when.size() == 3);
    CHECK(rule.when[0].second == std::vector<std::string>{"packages", "url"});
    CHECK(rule.when[2].second == std::vector<std::string>{"true"});
    CHECK(rule.builtin == "build-it");
    CHECK(rule.pool == "heavy");
    CHECK(rule.cache == CachePolicy::never);
    REQUIRE(rule.inputs.size() == 3);
    CHECK(rule.inputs[0].value == "app.tree");
    CHECK(rule.inputs[1].file == (dir / "x.sh"));
    CHECK(rule.inputs[2].optional);
    REQUIRE(rule.parameters.size() == 3);
    CHECK(rule.parameters[0].value == "extract.backend");
    CHECK(rule.parameters[0].literal->as_string() == "auto");
    CHECK(rule.parameters[0].type == "string");
    CHECK(rule.parameters[1].literal->as_int() == 3);
    CHECK(rule.parameters[2].literal->find("a")->as_int() == 1);
    CHECK(rule.settings[0].value == "item.source");
    REQUIRE(rule.tools.size() == 2);
    CHECK(rule.tools[0].identity == "erofs-writer");
    CHECK(rule.tools[0].package_hint == "erofs-utils");
    CHECK(rule.tools[0].optional);
    CHECK(rule.tools[1].program == "jq");
    REQUIRE(rule.outputs.size() == 2);
    CHECK(rule.outputs[0].name == "zimage");  // the order of the file, not of the alphabet
    CHECK(rule.outputs[0].provides == "item.image");
    CHECK(rule.span.location() == (dir / "rule.toml:2:6"));
  }

  TEST_CASE("mistakes in a rule are errors") {
    const orch::test::TempDir dir;
    const std::string head = "id = 'r'\noutputs = { o = { kind = 'file' } }\n";
    CHECK(message(dir, head) == "nothing to do: neither 'command' nor 'action'");
    CHECK(message(dir, head + "action = 'a'\ncommand = ['x']\n") == "both 'command' and 'action'");
    CHECK(message(dir, head + "command = []\n") == "'command' is empty");
    CHECK(message(dir, head + "command = ['./x.sh']\n") ==
          "a command runs in a directory of its own, where this path is not");
    CHECK(message(dir, head + "action = 'a'\nkind = 'x'\n") == "unknown key 'kind'");
    CHECK(message(dir, head + "action = 'a'\n[inputs]\ni = { value = 'a', file = 'b' }\n") ==
          "input 'i' needs exactly one of 'value', 'step', 'file'");
    CHECK(message(dir, head + "action = 'a'\n[inputs]\ni = { valu = 'a' }\n") ==
          "unknown key 'valu' in [inputs.i]");
    CHECK(message(dir, head + "action = 'a'\n[parameters]\np = { literal = 'x', type = 'integer' }\n") ==
          "'p' is of type 'integer', found string");
    CHECK(message(dir, head + "action = 'a'\n[parameters]\np = { value = 'a.b', literal = 1 }\n") ==
          "'p' needs exactly one of 'value', 'literal'");
    CHECK(message(dir, head + "action = 'a'\n[tools]\nt = { programm = 'x' }\n") == "unknown key 'programm'");
    CHECK(message(dir, head + "action = 'a'\npool = 'big'\n") ==
          "expected 'heavy', 'network', 'console' or '' for 'pool', found 'big'");
    CHECK(message(dir, head + "action = 'a'\nversion = 0\n") == "'version' must be from 1 to 1000000");
    CHECK(message(dir, "id = '../r'\naction = 'a'\n") == "'../r' is not usable as a rule id");
    CHECK(message(dir, "id = 'r'\naction = 'a'\n") == "'r' makes nothing");
    CHECK(message(dir, "id = 'r'\naction = 'a'\ncache = 'never'\n") == "no error");
  }

  TEST_CASE("the program of a command is a tool, and runs by its identity") {
    const orch::test::TempDir dir;
    const Rule plain = *read_rule(dir.write(
        "rule.toml",
        "id = 'r'\ncommand = ['sh', '{in.i}', '{out.o}', '{not.this}']\n[inputs]\ni = { value = 'a' }\n"
        "[outputs]\no = { kind = 'file' }\n"));
    REQUIRE(plain.tools.size() == 1);
    CHECK(plain.tools[0].program == "sh");
    CHECK(plain.command[0] == "{tool.sh}");
    CHECK(plain.command[3] == "{not.this}");
    const Rule declared = *read_rule(dir.write("rule.toml",
                                               "id = 'r'\ncommand = ['jq']\ncache = 'never'\n[tools]\nq = { "
                                               "program = 'jq', identity = 'version' }\n"));
    REQUIRE(declared.tools.size() == 1);
    CHECK(declared.command[0] == "{tool.q}");
    CHECK(declared.tools[0].version_args == std::vector<std::string>{"--version"});
  }

  TEST_CASE("rules come in order of their files, and apply says where") {
    const orch::test::TempDir dir;
    dir.write("rules/b.toml", "id = 'one'\naction = 'a'\ncache = 'never'\napply = 'always'\n");
    dir.write("rules/a.toml", "id = 'two'\naction = 'a'\ncache = 'never'\napply = 'always'\n");
    dir.write("rules/c.toml", "id = 'three'\naction = 'a'\ncache = 'never'\n");
    dir.write("rules/notes.txt", "x");
    const auto rules = load_rules({dir / "none", dir / "rules"});
    REQUIRE(rules.has_value());
    REQUIRE(rules->always.size() == 2);
    CHECK(rules->always[0].id == "two");
    CHECK(rules->named[0].id == "three");
    CHECK(rules->find("one") != nullptr);
  }

  TEST_CASE("a second rule of one id names both places, unless it says that it replaces") {
    const orch::test::TempDir dir;
    const std::string rule = "id = 'r'\naction = 'a'\ncache = 'never'\napply = 'always'\n";
    dir.write("shipped/r.toml", rule);
    dir.write("own/r.toml", rule);
    const auto twice = load_rules({dir / "shipped", dir / "own"});
    REQUIRE_FALSE(twice.has_value());
    CHECK(twice.error().where->location() == (dir / "own/r.toml:1:6"));
    CHECK(twice.error().related[0].second.location() == (dir / "shipped/r.toml:1:6"));

    dir.write("own/r.toml", rule + "replaces = true\nversion = 7\n");
    const auto replaced = load_rules({dir / "shipped", dir / "own"});
    REQUIRE(replaced.has_value());
    REQUIRE(replaced->always.size() == 1);
    CHECK(replaced->always[0].version == 7);

    dir.write("own/s.toml", "id = 's'\naction = 'a'\ncache = 'never'\nreplaces = true\n");
    CHECK(load_rules({dir / "shipped", dir / "own"}).error().what == "there is no rule 's' to replace");
  }
}

TEST_SUITE("load/steps") {
  TEST_CASE("a step by a rule takes its inputs, parameters and outputs over") {
    const orch::test::TempDir dir;
    dir.write(
        "rules/r.toml",
        "id = 'r'\ncommand = ['sh', '{in.tree}', '{out.tree}']\n[inputs]\ntree = { value = 'app.tree' }\n"
        "[parameters]\nlevel = { literal = 1, type = 'integer' }\n[outputs]\ntree = { kind = 'tree' }\n");
    const auto rules = load_rules({dir / "rules"});
    REQUIRE(rules.has_value());
    const orch::sys::Environment environment;
    const orch::load::Surroundings surroundings{&environment, dir / "config", dir / "data"};
    const auto profile =
        orch::load::load_profile(dir.write("p.toml",
                                           "[[step]]\nname = 'mine'\nrule = 'r'\nparameters = { level = 2 }\n"
                                           "outputs = { tree = { provides = 'app.tree' } }\n"),
                                 surroundings, *rules);
    if (!profile) FAIL(orch::base::render(profile.error()));
    REQUIRE(profile->steps.size() == 1);
    const Rule& step = profile->steps[0];
    CHECK(step.id == "step:mine");
    CHECK(step.parameters[0].literal->as_int() == 2);
    CHECK(step.parameters[0].type == "integer");
    CHECK(step.outputs[0].provides == "app.tree");
    CHECK(step.outputs[0].kind == orch::model::ArtifactKind::tree);
    CHECK(step.inputs[0].value == "app.tree");
    CHECK(step.command[0] == "{tool.sh}");

    const std::string head = "[[step]]\nname = 'mine'\nrule = 'r'\n";
    CHECK(step_message(head + "parameters = { levle = 2 }\n", *rules) == "the rule has no parameter 'levle'");
    CHECK(step_message(head + "parameters = { level = 'x' }\n", *rules) ==
          "'level' is of type 'integer', found string");
    CHECK(step_message(head + "command = ['x']\n", *rules) == "'command' comes from rule 'r'");
  }

  TEST_CASE("nothing of this host enters a cached step") {
    const std::string head = "[[step]]\nname = 's'\noutputs = { o = { kind = 'file' } }\n";
    CHECK(step_message(head + "command = ['sh', '${profile_dir}/x']\n") ==
          "the command of a cached step must not depend on this host");
    CHECK(step_message(head +
                       "command = ['sh']\nparameters = { p = { literal = ['a', { b = '${home}' }] } }\n") ==
          "a parameter of a cached step must not depend on this host");
    CHECK(step_message(head + "command = ['sh']\nsettings = { p = '${home}' }\n") == "no error");
    CHECK(step_message(head + "command = ['sh', '${home}']\ncache = 'never'\n") == "no error");
  }
}
