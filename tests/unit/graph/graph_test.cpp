// Expansion of profiles and rules: who provides what, order, identity, and the errors with their places.
#include "graph/graph.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace orch;
using base::Value;
using model::Rule;

namespace {

base::SourceSpan place(int line) {
  static const auto k_file =
      std::make_shared<const base::SourceFile>(base::SourceFile{"test.toml", "a\nb\nc\nd\ne\nf\n"});
  return {k_file, line, 1, 1};
}

Rule make_rule(std::string id, int line = 1) {
  Rule rule;
  rule.id = std::move(id);
  rule.builtin = "nothing";
  rule.span = place(line);
  return rule;
}

model::RuleInput from_value(std::string name, std::string value) {
  model::RuleInput input;
  input.name = std::move(name);
  input.value = std::move(value);
  input.span = place(2);
  return input;
}

model::RuleInput from_step(std::string name, std::string step, std::string output = {}) {
  model::RuleInput input;
  input.name = std::move(name);
  input.step = std::move(step);
  input.output = std::move(output);
  input.span = place(3);
  return input;
}

model::RuleOutput output(std::string name, std::string provides = {}, int line = 4) {
  model::RuleOutput out;
  out.name = std::move(name);
  out.provides = std::move(provides);
  out.span = place(line);
  return out;
}

model::Profile make_profile(std::string name, Value value) {
  model::Profile profile;
  profile.name = name;
  profile.directory = "/project/" + name;
  profile.value = std::move(value);
  return profile;
}

Value app_profile() {
  return Value::object({{"name", "p"}, {"app", Value::object({{"appimage", "/project/p/x.AppImage"}})}});
}

Rule extract_rule() {
  Rule rule = make_rule("extract");
  rule.inputs = {from_value("appimage", "app.appimage")};
  rule.outputs = {output("tree", "app.tree")};
  return rule;
}

Rule launch_rule() {
  Rule rule = make_rule("launch");
  rule.cache = model::CachePolicy::never;
  rule.inputs = {from_value("tree", "app.tree")};
  rule.when = {{"app.tree", {"*"}}};
  return rule;
}

const model::Step* find(const graph::Graph& graph, std::string_view rule) {
  const auto found = std::find_if(graph.steps.begin(), graph.steps.end(),
                                  [&](const model::Step& step) { return step.rule == rule; });
  return found == graph.steps.end() ? nullptr : &*found;
}

std::string upstream(const graph::Graph& graph, const model::Step& step, std::size_t input) {
  return graph[std::get<model::Upstream>(step.inputs[input].from).step].rule;
}

}  // namespace

TEST_SUITE("graph") {
  TEST_CASE("a step takes what another provides, and leaves are relative to the root") {
    const std::vector<model::Profile> profiles = {make_profile("p", app_profile())};
    const std::vector<Rule> rules = {launch_rule(), extract_rule()};
    const auto graph = graph::expand(profiles, rules, "/project/p");
    REQUIRE(graph);
    REQUIRE(graph->steps.size() == 2);
    CHECK(graph->steps[0].rule == "extract");
    CHECK(std::get<model::Leaf>(graph->steps[0].inputs[0].from).logical == "x.AppImage");
    CHECK(upstream(*graph, graph->steps[1], 0) == "extract");
    CHECK(graph->steps[1].slot == "p/launch");
  }

  TEST_CASE("a step that takes a place and provides it is put in between") {
    model::Profile profile = make_profile("p", app_profile());
    Rule patch = make_rule("step:patch");
    patch.inputs = {from_value("tree", "app.tree")};
    patch.outputs = {output("tree", "app.tree")};
    Rule second = patch;
    second.id = "step:second";
    profile.steps = {patch, second};
    const auto graph = graph::expand({&profile, 1}, std::vector<Rule>{launch_rule(), extract_rule()}, "/");
    REQUIRE(graph);
    CHECK(upstream(*graph, *find(*graph, "step:patch"), 0) == "extract");
    CHECK(upstream(*graph, *find(*graph, "step:second"), 0) == "step:patch");
    CHECK(upstream(*graph, *find(*graph, "launch"), 0) == "step:second");
  }

  TEST_CASE("rules whose condition nothing fulfils do not apply") {
    const std::vector<model::Profile> profiles = {make_profile("p", Value::object({{"name", "p"}}))};
    Rule extract = extract_rule();
    extract.when = {{"app.appimage", {"*"}}};
    const auto graph = graph::expand(profiles, std::vector<Rule>{extract, launch_rule()}, "/");
    REQUIRE(graph);
    CHECK(graph->steps.empty());
  }

  TEST_CASE("a rule over a list is bound to each item that fits") {
    Value layers = Value::array();
    layers.push(Value::object({{"name", "base"}, {"kind", "file"}, {"image", "/i/base.erofs"}}));
    layers.push(
        Value::object({{"name", "deps"}, {"kind", "packages"}, {"packages", Value::strings({"jq"})}}));
    Value value = Value::object({{"name", "p"}, {"layers", layers}});
    Rule build = make_rule("overlay");
    build.for_each = "layers";
    build.when = {{"item.kind", {"packages"}}};
    build.parameters = {{"packages", "item.packages", std::nullopt, "strings", place(5)}};
    build.outputs = {output("image", "item.image")};
    Rule stack = make_rule("stack");
    stack.inputs = {from_value("images", "layers[].image")};
    const std::vector<model::Profile> profiles = {make_profile("p", value)};
    const auto graph = graph::expand(profiles, std::vector<Rule>{build, stack}, "/");
    REQUIRE(graph);
    const model::Step* user = find(*graph, "stack");
    REQUIRE(user->inputs.size() == 2);
    CHECK(user->inputs[0].name == "images[0]");
    CHECK(std::holds_alternative<model::Leaf>(user->inputs[0].from));
    CHECK(upstream(*graph, *user, 1) == "overlay");
    CHECK(find(*graph, "overlay")->slot == "p/overlay/deps");
  }

  TEST_CASE("layers+ puts a new layer on top") {
    Value layers = Value::array();
    layers.push(Value::object({{"name", "base"}, {"image", "/i/base.erofs"}}));
    model::Profile profile = make_profile("p", Value::object({{"name", "p"}, {"layers", layers}}));
    Rule extra = make_rule("step:extra");
    extra.outputs = {output("image", "layers+")};
    profile.steps = {extra};
    Rule stack = make_rule("stack");
    stack.inputs = {from_value("images", "layers[].image")};
    const auto graph = graph::expand({&profile, 1}, std::vector<Rule>{stack}, "/");
    REQUIRE(graph);
    REQUIRE(find(*graph, "stack")->inputs.size() == 2);
    CHECK(upstream(*graph, *find(*graph, "stack"), 1) == "step:extra");
  }

  TEST_CASE("below[] is what lies below the item, and lists are parameters too") {
    Value layers = Value::array();
    for (const char* name : {"base", "deps", "top"})
      layers.push(Value::object({{"name", name}, {"image", std::string("/i/") + name}}));
    Rule check = make_rule("check");
    check.for_each = "layers";
    check.inputs = {from_value("image", "item.image"), from_value("below", "below[].image")};
    check.parameters = {{"below", "below[].name", std::nullopt, "strings", place(5)},
                        {"all", "layers[].name", std::nullopt, "strings", place(5)}};
    const std::vector<model::Profile> profiles = {
        make_profile("p", Value::object({{"name", "p"}, {"layers", layers}}))};
    const auto graph = graph::expand(profiles, std::vector<Rule>{check}, "/");
    REQUIRE(graph);
    REQUIRE(graph->steps.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
      const model::Step& step = graph->steps[i];
      REQUIRE(step.inputs.size() == 1 + i);
      CHECK(step.parameters[0].value.as_array().size() == i);
      CHECK(step.parameters[1].value == Value::strings({"base", "deps", "top"}));
    }
    CHECK(graph->steps[2].inputs[2].name == "below[1]");
    CHECK(std::get<model::Leaf>(graph->steps[2].inputs[2].from).path == "/i/deps");
  }

  TEST_CASE("an optional list has gaps where an item has nothing, and the numbers stay") {
    Value layers = Value::array();
    for (const char* name : {"base", "deps", "top"}) layers.push(Value::object({{"name", name}}));
    layers.as_array()[1].set("manifest", "/m/deps");
    Rule check = make_rule("check");
    check.inputs = {from_value("manifests", "layers[].manifest")};
    const std::vector<model::Profile> profiles = {
        make_profile("p", Value::object({{"name", "p"}, {"layers", layers}}))};
    const auto demanded = graph::expand(profiles, std::vector<Rule>{check}, "/");
    REQUIRE_FALSE(demanded);
    CHECK(demanded.error().what.find("'layers[0].manifest'") != std::string::npos);
    check.inputs[0].optional = true;
    const auto graph = graph::expand(profiles, std::vector<Rule>{check}, "/");
    REQUIRE(graph);
    REQUIRE(graph->steps[0].inputs.size() == 1);
    CHECK(graph->steps[0].inputs[0].name == "manifests[1]");
  }

  TEST_CASE("rules go over layers that steps add, which lie below what finishes the stack") {
    Value layers = Value::array();
    layers.push(Value::object({{"name", "base"}, {"role", "base"}, {"image", "/i/base"}}));
    layers.push(Value::object({{"name", "finish"}, {"role", "finish"}, {"image", "/i/finish"}}));
    model::Profile profile = make_profile("p", Value::object({{"name", "p"}, {"layers", layers}}));
    Rule extra = make_rule("step:extra");
    extra.outputs = {output("image", "layers+")};
    Rule idle = make_rule("step:idle");
    idle.when = {{"app.tree", {"*"}}};
    idle.outputs = {output("image", "layers+")};
    profile.steps = {idle, extra};
    Rule index = make_rule("index");
    index.for_each = "layers";
    index.inputs = {from_value("image", "item.image")};
    const auto graph = graph::expand({&profile, 1}, std::vector<Rule>{index}, "/");
    REQUIRE(graph);
    std::vector<std::string> slots;
    for (const model::Step& step : graph->steps) slots.push_back(step.slot);
    CHECK(slots == std::vector<std::string>{"p/index/base", "p/step:extra", "p/index/step:extra.image",
                                            "p/index/finish"});
  }

  TEST_CASE("steps of equal identity are one step of both profiles") {
    Value other = app_profile();
    const std::vector<model::Profile> profiles = {make_profile("p", app_profile()), make_profile("q", other)};
    const auto graph = graph::expand(profiles, std::vector<Rule>{extract_rule(), launch_rule()}, "/project");
    REQUIRE(graph);
    CHECK(graph->steps.size() == 3);
    CHECK(find(*graph, "extract")->profiles == std::vector<std::string>{"p", "q"});
  }

  TEST_CASE("the identity does not depend on where the root lies, but on parameters and logical names") {
    const auto id_of = [](const std::string& folder, const std::string& backend) {
      Value value = Value::object(
          {{"app", Value::object({{"appimage", folder + "/x.AppImage"}, {"backend", backend}})}});
      Rule rule = extract_rule();
      rule.parameters = {{"backend", "app.backend", std::nullopt, "string", place(5)}};
      const std::vector<model::Profile> profiles = {make_profile("p", value)};
      return graph::expand(profiles, std::vector<Rule>{rule}, folder)->steps[0].id;
    };
    CHECK(id_of("/home/a", "auto") == id_of("/home/b/c", "auto"));
    CHECK(id_of("/home/a", "auto") != id_of("/home/a", "unsquashfs"));
  }

  TEST_CASE("two steps that provide one place are an error that names both") {
    Rule second = extract_rule();
    second.id = "other";
    second.outputs[0].span = place(6);
    const std::vector<model::Profile> profiles = {make_profile("p", app_profile())};
    const auto graph = graph::expand(profiles, std::vector<Rule>{extract_rule(), second}, "/");
    REQUIRE_FALSE(graph);
    CHECK(graph.error().what == "'app.tree' is provided by two steps: 'extract' and 'other'");
    CHECK(graph.error().where->line == 6);
    REQUIRE(graph.error().related.size() == 1);
    CHECK(graph.error().related[0].second.line == 4);
  }

  TEST_CASE("a place that the profile gives and a step provides is an error") {
    Value value = app_profile();
    value.find("app")->set("tree", "/somewhere");
    const std::vector<model::Profile> profiles = {make_profile("p", value)};
    const auto graph = graph::expand(profiles, std::vector<Rule>{extract_rule()}, "/");
    REQUIRE_FALSE(graph);
    CHECK(graph.error().what == "'app.tree' is given in the profile, and step 'extract' provides it too");
  }

  TEST_CASE("a cycle is an error with its path and every place") {
    model::Profile profile = make_profile("p", Value::object({{"name", "p"}}));
    Rule a = make_rule("step:a", 1);
    Rule b = make_rule("step:b", 2);
    Rule c = make_rule("step:c", 3);
    a.outputs = b.outputs = c.outputs = {output("o")};
    a.inputs = {from_step("i", "b")};
    b.inputs = {from_step("i", "c")};
    c.inputs = {from_step("i", "a")};
    profile.steps = {a, b, c};
    const auto graph = graph::expand({&profile, 1}, {}, "/");
    REQUIRE_FALSE(graph);
    CHECK(graph.error().what ==
          "the steps of profile 'p' wait for each other: step:a -> step:b -> step:c -> step:a");
    CHECK(graph.error().related.size() == 2);
  }

  TEST_CASE("a missing step or output gets the nearest name") {
    model::Profile profile = make_profile("p", Value::object({{"name", "p"}}));
    Rule a = make_rule("step:alpha");
    a.outputs = {output("first")};
    Rule b = make_rule("step:b");
    b.outputs = {output("o")};
    b.inputs = {from_step("i", "alpah")};
    profile.steps = {a, b};
    auto graph = graph::expand({&profile, 1}, {}, "/");
    REQUIRE_FALSE(graph);
    CHECK(graph.error().hint == "did you mean 'alpha'?");
    profile.steps[1].inputs = {from_step("i", "alpha", "frist")};
    graph = graph::expand({&profile, 1}, {}, "/");
    REQUIRE_FALSE(graph);
    CHECK(graph.error().what == "step 'alpha' has no output 'frist'; it has: first");
    CHECK(graph.error().hint == "did you mean 'first'?");
  }

  TEST_CASE("a parameter of a cached step must not depend on the host") {
    Value value = app_profile();
    Value home("/home/me/x");
    home.host_dependent = true;
    value.find("app")->set("backend", home);
    Rule rule = extract_rule();
    rule.parameters = {{"backend", "app.backend", std::nullopt, "string", place(5)}};
    const std::vector<model::Profile> profiles = {make_profile("p", value)};
    auto graph = graph::expand(profiles, std::vector<Rule>{rule}, "/");
    REQUIRE_FALSE(graph);
    CHECK(graph.error().what ==
          "parameter 'backend' of step 'extract' depends on this host, so its result could not be shared");
    rule.cache = model::CachePolicy::never;
    CHECK(graph::expand(profiles, std::vector<Rule>{rule}, "/"));
  }

  TEST_CASE("a parameter of the wrong type is an error; an absent lock makes the step unresolved") {
    Value value = app_profile();
    value.find("app")->set("backend", 3);
    Rule rule = extract_rule();
    rule.parameters = {{"backend", "app.backend", std::nullopt, "string", place(5)}};
    const std::vector<model::Profile> profiles = {make_profile("p", value)};
    const auto wrong = graph::expand(profiles, std::vector<Rule>{rule}, "/");
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().what ==
          "parameter 'backend' of step 'extract' must be of type string, but is a integer");
    rule.parameters = {{"locked", "app.locked", std::nullopt, "lock", place(5)}};
    const auto graph = graph::expand(profiles, std::vector<Rule>{rule}, "/");
    REQUIRE(graph);
    CHECK_FALSE(graph->steps[0].unresolved.empty());
  }

  TEST_CASE("a long chain of steps needs no deep stack") {
    model::Profile profile = make_profile("p", Value::object({{"name", "p"}}));
    constexpr int k_length = 3000;
    for (int i = 0; i < k_length; ++i) {
      Rule rule = make_rule("step:s" + std::to_string(i));
      rule.outputs = {output("o")};
      if (i + 1 < k_length) rule.inputs = {from_step("i", "s" + std::to_string(i + 1))};
      profile.steps.push_back(std::move(rule));
    }
    const auto graph = graph::expand({&profile, 1}, {}, "/");
    REQUIRE(graph);
    CHECK(graph->steps.front().rule == "step:s2999");
  }

  TEST_CASE("the common folder") {
    CHECK(graph::common_folder({"/a/b/c", "/a/b/d"}) == "/a/b");
    CHECK(graph::common_folder({"/a/b", "/a/bc"}) == "/a");
    CHECK(graph::common_folder({"/a", "/b"}) == "/");
    CHECK(graph::common_folder({"/a/b"}) == "/a/b");
  }
}
