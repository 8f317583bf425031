#include "load/user_profile.hpp"

#include "support/golden.hpp"
#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <string>

using orch::load::AppFacts;
using orch::load::find_user_profile;
using orch::load::profile_name_for;
using orch::load::write_user_profile;

TEST_SUITE("load/user_profile") {
  TEST_CASE("a name comes from the desktop id, else from the file") {
    CHECK(profile_name_for({"/x/a.AppImage", "", "org.kde.Krita", ""}) == "krita");
    CHECK(profile_name_for({"/x/Bambu Studio_linux-v1.9.AppImage", "", "", ""}) == "bambu-studio-linux");
    CHECK(profile_name_for({"/x/Foo-x86_64.AppImage", "", "", ""}) == "foo");
    CHECK(profile_name_for({"/x/\xff\xfe.AppImage", "", "", ""}) == "app");
  }

  TEST_CASE("a profile is written once and found again") {
    const orch::test::TempDir dir;
    const orch::sys::Environment environment;
    const orch::load::Surroundings surroundings{&environment, dir / "config", dir / "data"};
    dir.write("data/profiles/native.toml", "");
    dir.write("foo-1.AppImage", "");
    const AppFacts facts{dir / "foo-1.AppImage", "Foo", "org.foo.Foo", "zsync|http://x/foo.zsync"};
    CHECK_FALSE(find_user_profile(facts, surroundings).value().has_value());
    const std::string path = write_user_profile(facts, "native", surroundings).value();
    CHECK(path == (dir / "config/profiles/foo.toml"));
    CHECK(find_user_profile(facts, surroundings).value() == path);

    AppFacts newer = facts;
    newer.path = dir / "foo-2.AppImage";
    CHECK(find_user_profile(newer, surroundings).value() == path);
    newer.update_information.clear();
    CHECK(find_user_profile(newer, surroundings).value() == path);
    newer.desktop_id = "org.other.Other";
    CHECK_FALSE(find_user_profile(newer, surroundings).value().has_value());
  }

  TEST_CASE("another application under the same path is another application") {
    const orch::test::TempDir dir;
    const orch::sys::Environment environment;
    const orch::load::Surroundings surroundings{&environment, dir / "config", dir / "data"};
    AppFacts facts{dir / "app.AppImage", "Foo", "org.foo.Foo", ""};
    const std::string first = write_user_profile(facts, "native", surroundings).value();
    facts.desktop_id = "org.bar.Bar";
    CHECK_FALSE(find_user_profile(facts, surroundings).value().has_value());
    facts.desktop_id.clear();
    CHECK(find_user_profile(facts, surroundings).value() == first);
  }

  TEST_CASE("a path tells better than a desktop id, and a second name is free") {
    const orch::test::TempDir dir;
    const orch::sys::Environment environment;
    const orch::load::Surroundings surroundings{&environment, dir / "config", dir / "data"};
    const AppFacts stable{dir / "stable.AppImage", "Foo", "org.foo.Foo", ""};
    const AppFacts nightly{dir / "nightly.AppImage", "Foo", "org.foo.Foo", ""};
    CHECK(write_user_profile(stable, "native", surroundings).value() == (dir / "config/profiles/foo.toml"));
    CHECK(write_user_profile(nightly, "native", surroundings).value() ==
          (dir / "config/profiles/foo-2.toml"));
    CHECK(find_user_profile(nightly, surroundings).value() == (dir / "config/profiles/foo-2.toml"));
    CHECK(find_user_profile(stable, surroundings).value() == (dir / "config/profiles/foo.toml"));
  }

  TEST_CASE("what was written loads, whatever the names hold") {
    const orch::test::TempDir dir;
    const orch::sys::Environment environment;
    const orch::load::Surroundings surroundings{&environment, dir / "config", dir / "data"};
    dir.write("data/profiles/native.toml", "");
    const std::string path = dir.write("odd \"x\" ${home} \\.AppImage", "");
    const AppFacts facts{path, "Evil\nname = 1", "a\"b", "x\ny"};
    const auto profile =
        orch::load::load_profile(write_user_profile(facts, "native", surroundings).value(), surroundings, {});
    if (!profile) FAIL(orch::base::render(profile.error()));
    CHECK(profile->value.find_path("app.appimage")->as_string() == path);
    CHECK(profile->value.find_path("origin.update_information")->as_string() == "x\ny");
    CHECK(find_user_profile(facts, surroundings).value().has_value());
    CHECK_FALSE(write_user_profile({"/x/\xff.AppImage", "", "", ""}, "native", surroundings).has_value());
  }

  TEST_CASE("the text of a new profile") {
    const AppFacts facts{"/home/x/Foo.AppImage", "Foo", "org.foo.Foo", "zsync|http://x/foo.zsync"};
    orch::test::check_golden("profile/written.txt",
                             orch::load::profile_text(facts, "foo", "asahi", "/home/x/Foo.AppImage").value());
  }
}
