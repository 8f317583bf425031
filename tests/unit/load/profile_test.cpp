#include "load/profile.hpp"

#include "load/layers.hpp"
#include "load/variables.hpp"
#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

using orch::base::Value;
using orch::load::find_profile;
using orch::load::load_profile;
using orch::model::Profile;

namespace {

// A user with profiles, and a data directory with shipped ones.
struct Place {
  orch::test::TempDir dir;
  orch::sys::Environment environment{{"HOME", "/home/x"}, {"MODE", "venus"}};
  orch::load::Surroundings surroundings{&environment, dir / "config", dir / "data"};
  orch::load::Rules rules;

  Profile load(std::string_view text, const orch::load::Overrides& overrides = {}) {
    auto profile = load_profile(dir.write("work/p.toml", text), surroundings, rules, overrides);
    if (!profile) FAIL(orch::base::render(profile.error()));
    return *profile;
  }
  std::string error(std::string_view text, const orch::load::Overrides& overrides = {}) {
    const auto profile = load_profile(dir.write("work/p.toml", text), surroundings, rules, overrides);
    return profile ? "no error" : profile.error().what;
  }
};

std::string text_at(const Profile& profile, std::string_view place) {
  const Value* value = profile.value.find_path(place);
  return value == nullptr     ? "absent"
         : value->is_string() ? value->as_string()
                              : std::string(value->type_name());
}

std::string layer_names(const Profile& profile) {
  std::string out;
  for (const Value& layer : profile.value.find("layers")->as_array())
    out += layer.string_or("name", "") + ":" + layer.string_or("kind", "") + " ";
  return out;
}

}  // namespace

TEST_SUITE("load/profile") {
  TEST_CASE("an empty profile is written out with every default") {
    Place place;
    const Profile profile = place.load("");
    CHECK(profile.name == "p");
    CHECK(text_at(profile, "extract.backend") == "auto");
    CHECK(text_at(profile, "launch.launcher") == "auto");
    CHECK(profile.value.find_path("launch.timeout_ms")->as_int() == 0);
    CHECK(profile.value.find_path("app.args")->as_array().empty());
    CHECK(layer_names(profile) == "base:auto gpu:auto compat:compat finish:finish ");
    CHECK_FALSE(orch::load::require_app(profile).has_value());
  }

  TEST_CASE("tables are merged key by key, lists are replaced, '+key' appends") {
    Place place;
    place.dir.write("data/profiles/low.toml",
                    "name = 'low'\n[app]\nargs = ['a']\nenv = { A = '1', B = '1' }\n[launch]\nguest_pre = "
                    "['x']\nvm = 'shared'\n");
    const Profile profile = place.load(
        "extends = 'low'\n[app]\n'+args' = ['b']\nenv = { B = '2', C = '3' }\n[launch]\nguest_pre = ['y']\n");
    CHECK(profile.name == "p");
    CHECK(*profile.value.find_path("app.args") == Value::strings({"a", "b"}));
    CHECK(*profile.value.find_path("app.env") == Value::object({{"A", "1"}, {"B", "2"}, {"C", "3"}}));
    CHECK(*profile.value.find_path("launch.guest_pre") == Value::strings({"y"}));
    CHECK(text_at(profile, "launch.vm") == "shared");
    CHECK(profile.chain.size() == 2);
  }

  TEST_CASE("'+key' adds to a default where nothing below names the list") {
    Place place;
    place.dir.write("work/x.erofs", "");
    CHECK(layer_names(place.load("[stack]\n'+gpu' = ['x.erofs']\n")) ==
          "base:auto gpu:auto x:file compat:compat finish:finish ");
  }

  TEST_CASE("a layer is replaced as a whole") {
    Place place;
    place.dir.write("data/profiles/low.toml", "[stack]\nbase = { url = 'http://x/y.erofs', sha256 = '" +
                                                  std::string(64, 'a') + "' }\n");
    const Profile profile = place.load("extends = 'low'\n[stack]\nbase = { packages = ['bash'] }\n");
    CHECK(layer_names(profile) == "base:packages gpu:auto compat:compat finish:finish ");
  }

  TEST_CASE("paths are taken from the file that names them") {
    Place place;
    place.dir.write("data/profiles/low.toml", "[stack]\nbase = 'base.erofs'\n");
    place.dir.write("data/profiles/base.erofs", "");
    place.dir.write("work/app/x.AppImage", "");
    const Profile profile = place.load("extends = 'low'\n[app]\nappimage = 'app/./x.AppImage'\n");
    CHECK(text_at(profile, "app.appimage") == (place.dir / "work/app/x.AppImage"));
    CHECK(profile.value.find("layers")->as_array()[0].string_or("image", "") ==
          (place.dir / "data/profiles/base.erofs"));
  }

  TEST_CASE("variables expand, and strings that took one are marked") {
    Place place;
    const Profile profile = place.load(
        "[app]\nargs = ['${home}/a', '$${home}', 'plain']\nenv = { P = '${profile_dir}', A = "
        "'${appdir}/${env:MODE}', L = '${appdir}/lib' }\n"
        "[launch]\ngpu_mode = '${env:MODE}'\n");
    const Value& args = *profile.value.find_path("app.args");
    CHECK(args.as_array()[0].as_string() == "/home/x/a");
    CHECK(args.as_array()[0].host_dependent);
    CHECK(args.as_array()[1].as_string() == "$${home}");
    CHECK(orch::load::expand_appdir(args.as_array()[1].as_string(), "/x") == "${home}");
    CHECK_FALSE(args.as_array()[2].host_dependent);
    CHECK(text_at(profile, "app.env.P") == (place.dir / "work"));
    CHECK(text_at(profile, "app.env.A") == "${appdir}/venus");
    CHECK(profile.value.find_path("app.env.A")->host_dependent);
    CHECK(text_at(profile, "app.env.L") == "${appdir}/lib");
    CHECK_FALSE(profile.value.find_path("app.env.L")->host_dependent);
    CHECK(text_at(profile, "launch.gpu_mode") == "venus");
  }

  TEST_CASE("'$${' is a plain '${' where ${appdir} has no meaning") {
    Place place;
    CHECK(text_at(place.load("description = 'a $${x}'\n"), "description") == "a ${x}");
  }

  TEST_CASE("what a variable brings is not read as ${appdir}") {
    Place place;
    place.environment["ODD"] = "${appdir}";
    const Profile profile = place.load("[app]\nargs = ['${env:ODD}']\n");
    CHECK(orch::load::expand_appdir(profile.value.find_path("app.args")->as_array()[0].as_string(), "/x") ==
          "${appdir}");
  }

  TEST_CASE("the mark survives extends, and a path is exempt from it") {
    Place place;
    place.dir.write("home.AppImage", "");
    place.environment["HOME"] = place.dir.path();
    place.dir.write("data/profiles/low.toml",
                    "[app]\nappimage = '${home}/home.AppImage'\nargs = ['${home}']\n");
    const Profile profile = place.load("extends = 'low'\n[app]\n'+args' = ['x']\n");
    CHECK(profile.value.find_path("app.args")->as_array()[0].host_dependent);
    CHECK_FALSE(profile.value.find_path("app.args")->as_array()[1].host_dependent);
    CHECK_FALSE(profile.value.find_path("app.appimage")->host_dependent);
  }

  TEST_CASE("layers stand bottom first, each under a name of its own") {
    Place place;
    for (const char* name : {"work/b.erofs", "work/x.erofs", "work/sub/x.erofs"}) place.dir.write(name, "");
    const Profile profile = place.load(
        "[stack]\nbase = 'b.erofs'\ngpu = []\nimages = ['x.erofs', 'sub/x.erofs']\n"
        "[[stack.deps]]\nname = 'web'\nsource = 's'\npackages = ['p']\n[source.s]\nkind = 'apt'\nuris = "
        "['http://u']\n");
    CHECK(layer_names(profile) == "base:file compat:compat deps-web:packages x:file x-2:file finish:finish ");
    const Value& deps = profile.value.find("layers")->as_array()[2];
    CHECK(deps.string_or("role", "") == "deps");
    CHECK(deps.string_or("source_name", "") == "s");
    CHECK(deps.find("source")->string_or("kind", "") == "apt");
    CHECK(deps.string_or("class", "") == "deps");
    CHECK(deps.string_or("compressor", "") == "lz4");
  }

  TEST_CASE("the layers that are made of others can be turned off") {
    Place place;
    place.dir.write("work/b.erofs", "");
    const Profile profile =
        place.load("[stack]\nbase = 'b.erofs'\ngpu = []\ncompat = 'off'\nfinish = 'off'\n");
    CHECK(layer_names(profile) == "base:file ");
  }

  TEST_CASE("an AppImage by its address becomes app.url and app.sha256") {
    Place place;
    const Profile profile =
        place.load("[app]\nappimage = { url = 'http://x/a', sha256 = '" + std::string(64, '0') + "' }\n");
    CHECK(text_at(profile, "app.url") == "http://x/a");
    CHECK(text_at(profile, "app.appimage") == "absent");
    CHECK(orch::load::require_app(profile).has_value());
  }

  TEST_CASE("the command line overrides the profile") {
    Place place;
    place.dir.write("a.AppImage", "");
    place.dir.write("i.erofs", "");
    orch::load::Overrides overrides;
    overrides.appimage = place.dir / "a.AppImage";
    overrides.images = {place.dir / "i.erofs"};
    overrides.launcher = "native";
    const Profile profile = place.load("[launch]\nlauncher = 'muvm'\n", overrides);
    CHECK(text_at(profile, "app.appimage") == (place.dir / "a.AppImage"));
    CHECK(text_at(profile, "launch.launcher") == "native");
    CHECK(layer_names(profile) == "base:auto gpu:auto compat:compat i:file finish:finish ");
    overrides.launcher = "wine";
    CHECK(place.error("", overrides) == "expected 'auto', 'muvm' or 'native' for --launcher, found 'wine'");
  }

  TEST_CASE("a user's profile may extend the shipped one of its own name") {
    Place place;
    place.dir.write("data/profiles/asahi.toml", "[launch]\nlauncher = 'muvm'\n");
    const std::string own = place.dir.write("config/profiles/asahi.toml", "extends = 'asahi'\n");
    CHECK(find_profile("asahi", place.surroundings).value() == own);
    const auto profile = load_profile(own, place.surroundings, place.rules);
    REQUIRE(profile.has_value());
    CHECK(text_at(*profile, "launch.launcher") == "muvm");
    CHECK_FALSE(profile->built_in);
  }

  TEST_CASE("a profile that is not there gets the nearest name and the places") {
    Place place;
    place.dir.write("data/profiles/asahi.toml", "");
    const auto found = find_profile("asahy", place.surroundings);
    REQUIRE_FALSE(found.has_value());
    CHECK(found.error().hint == "did you mean 'asahi'?");
    CHECK(found.error().what.find("data/profiles") != std::string::npos);
    CHECK(find_profile("x/none.toml", place.surroundings).error().what ==
          "there is no profile 'x/none.toml'");
  }
}

TEST_SUITE("load/layers") {
  TEST_CASE("auto layers become the images that muvm would use") {
    Place place;
    place.dir.write("work/x.AppImage", "");
    Profile profile = place.load("[app]\nappimage = 'x.AppImage'\n");
    orch::load::Host host{"muvm", "", {}, {"'/a': it is not there", "'/b': it is neither"}};
    const auto missing = orch::load::resolve_auto_layers(profile, host);
    REQUIRE_FALSE(missing.has_value());
    CHECK(missing.error().what == "no base image found for 'p': '/a': it is not there; '/b': it is neither");
    CHECK(missing.error().hint.find("fex-emu-rootfs-fedora") != std::string::npos);

    host.base = place.dir.write("fex/RootFS/default.erofs", "");
    host.gpu = {place.dir.write("fex/overlays/mesa-x86_64.erofs", "")};
    REQUIRE(orch::load::resolve_auto_layers(profile, host).has_value());
    CHECK(layer_names(profile) == "base:file gpu-mesa-x86_64:file compat:compat finish:finish ");
  }

  TEST_CASE("native has no base of its own to find") {
    Place place;
    place.dir.write("work/x.AppImage", "");
    Profile profile = place.load("[app]\nappimage = 'x.AppImage'\n");
    const auto missing = orch::load::resolve_auto_layers(profile, {"native", "", {}, {}});
    REQUIRE_FALSE(missing.has_value());
    CHECK(missing.error().what == "profile 'p' has no base image: \"auto\" finds images for muvm only");
  }

  TEST_CASE("a profile without an application launches nothing, and needs no base") {
    Place place;
    Profile profile = place.load("");
    REQUIRE(orch::load::resolve_auto_layers(profile, {"native", "", {}, {}}).has_value());
    CHECK(layer_names(profile).empty());
  }

  TEST_CASE("muvm's guest kernel reads lz4 only") {
    Place place;
    place.dir.write("work/b.erofs", "");
    const std::string text =
        "[stack]\nbase = 'b.erofs'\n[[stack.deps]]\nname = 'd'\npackages = ['p']\ncompressor = 'zstd,3'\n";
    Profile profile = place.load(text);
    CHECK(orch::load::resolve_auto_layers(profile, {"native", "", {}, {}}).has_value());
    const auto refused = orch::load::resolve_auto_layers(profile, {"muvm", "", {}, {}});
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().where->line == 6);
  }
}
