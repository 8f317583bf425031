// What lies in profiles/ and rules/ of this source tree.
#include "load/layers.hpp"
#include "load/profile.hpp"
#include "load/sources.hpp"
#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <string>

TEST_SUITE("load/shipped") {
  TEST_CASE("every shipped rule, source and profile is right") {
    const orch::test::TempDir dir;
    const orch::sys::Environment environment{{"HOME", "/home/x"}};
    const orch::load::Surroundings surroundings{&environment, dir / "config", ORCH_SOURCE_DIR};
    const auto rules = orch::load::load_all_rules(surroundings);
    if (!rules) FAIL(orch::base::render(rules.error()));
    CHECK(rules->find("fetch-packages") != nullptr);
    for (const std::string& name : orch::load::source_names(surroundings)) {
      const auto source = orch::load::read_source(name, surroundings);
      if (!source) FAIL(orch::base::render(source.error()));
    }
    const auto names = orch::load::profile_names(surroundings);
    CHECK(names == std::vector<std::string>{"asahi", "bambu-studio", "native"});
    for (const std::string& name : names) {
      const auto path = orch::load::find_profile(name, surroundings);
      REQUIRE(path.has_value());
      const auto profile = orch::load::load_profile(*path, surroundings, *rules);
      if (!profile) FAIL(orch::base::render(profile.error()));
      CHECK(profile->name == name);
      CHECK(profile->built_in);
      CHECK_FALSE(profile->value.string_or("description", "").empty());
      const auto app = orch::load::require_app(*profile);
      REQUIRE_FALSE(app.has_value());
      CHECK(app.error().hint.find("--appimage") != std::string::npos);
    }
  }

  TEST_CASE("bambu-studio brings WebKitGTK and libsoup of Fedora 42") {
    const orch::test::TempDir dir;
    const orch::sys::Environment environment;
    const orch::load::Surroundings surroundings{&environment, dir / "config", ORCH_SOURCE_DIR};
    auto profile = orch::load::load_profile(std::string(ORCH_SOURCE_DIR) + "/profiles/bambu-studio.toml",
                                            surroundings, {});
    REQUIRE(profile.has_value());
    const std::string base = dir.write("fex/RootFS/default.erofs", "");
    REQUIRE(orch::load::resolve_auto_layers(*profile, {"muvm", base, {}, {}}).has_value());
    const auto& layers = profile->value.find("layers")->as_array();
    REQUIRE(layers.size() == 4);
    CHECK(layers[0].string_or("image", "") == base);
    CHECK(layers[2].find("source")->string_or("release", "") == "42");
    CHECK(*layers[2].find("packages") == orch::base::Value::strings({"webkit2gtk4.0", "libsoup"}));
  }
}
