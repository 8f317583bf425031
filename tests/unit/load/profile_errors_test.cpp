// Every mistake of tests/golden/profile/NAME.toml has its whole message in NAME.txt beside it.
#include "load/profile.hpp"
#include "support/golden.hpp"
#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>

namespace {

// Copies the cases, so that no message names the source tree.
void copy_cases(const orch::test::TempDir& dir) {
  const std::filesystem::path from = std::filesystem::path(ORCH_SOURCE_DIR) / "tests/golden/profile";
  for (const auto& entry : std::filesystem::directory_iterator(from))
    if (entry.path().extension() == ".toml")
      std::filesystem::copy_file(entry.path(), dir / entry.path().filename().string());
}

}  // namespace

TEST_SUITE("load/profile errors") {
  TEST_CASE("each mistake has its message") {
    const orch::test::TempDir dir;
    copy_cases(dir);
    dir.write("data/profiles/asahi.toml", "");
    dir.write("data/profiles/native.toml", "");
    dir.write("config/rules/shout.toml",
              "id = 'shout'\ncommand = ['true']\noutputs = { tree = { kind = 'tree' } }\n");
    const orch::sys::Environment environment{{"HOME", "/home/x"}};
    const orch::load::Surroundings surroundings{&environment, dir / "config", dir / "data"};
    const auto rules = orch::load::load_all_rules(surroundings);
    REQUIRE(rules.has_value());
    // clang-format off
    for (const char* name : {
             "append_to_text", "bad_choice", "bad_duration", "bad_variable_name", "defined_twice", "duplicate_layer", "duplicate_step",
             "early_appdir", "empty_overlay", "extends_cycle", "extends_cycle_other", "host_parameter", "layer_form",
             "misplaced_key", "missing_appimage", "missing_extends", "missing_image", "missing_step_file", "newer_format", "syntax_error",
             "unknown_key", "unknown_output", "unknown_rule", "unknown_source", "unknown_step", "unknown_table",
             "unknown_variable", "unknown_word", "unset_environment", "wrong_item_type", "wrong_type",
         }) {
      // clang-format on
      CAPTURE(name);
      const auto profile =
          orch::load::load_profile(dir / (std::string(name) + ".toml"), surroundings, *rules);
      REQUIRE_FALSE(profile.has_value());
      CHECK(profile.error().kind == orch::base::ErrorKind::profile);
      CHECK(profile.error().where.has_value());
      orch::test::check_golden("profile/" + std::string(name) + ".txt",
                               orch::test::replaced(orch::base::render(profile.error()), dir.path(), "TMP"));
    }
  }
}
