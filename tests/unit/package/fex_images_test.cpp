#include "package/fex_images.hpp"

#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <optional>

using namespace orch::package;

namespace {

// The XXH3-64 of "image one", as xxhsum -H3 prints it.
const char* const k_sum = "cc0e910f25d7652a";

std::string entry(const std::string& name, const std::string& url, const std::string& sum,
                  const std::string& type) {
  return "\"" + name +
         "\": {\"DistroMatch\": \"fedora\", \"DistroVersion\": \"42\", "
         "\"URL\": \"" +
         url + "\", \"Hash\": \"" + sum + "\", \"Type\": \"" + type + "\"}";
}

// A SquashFS image with the sum 1, and an EROFS one.
std::string list_with(const std::string& url, const std::string& sum) {
  return "{\"v1\": {" + entry("Fedora 42 (SquashFS)", url + ".sqsh", "1", "squashfs") + ", " +
         entry("Fedora 42 (EroFS)", url, sum, "erofs") + "}}";
}

std::string name_of(const std::vector<FexImage>& images, const std::string& name) {
  const auto found = find_fex_image(images, name);
  return found ? found->name : found.error().what + "; " + found.error().hint;
}

struct Place {
  orch::test::TempDir dir;
  Surroundings around;
  std::string image = dir.write("x.ero", "image one");
  Place() { around.cache_dir = dir / "cache"; }
  std::string list(const std::string& sum) {
    return "file://" + dir.write("list.json", list_with("file://" + image, sum));
  }
};

}  // namespace

TEST_SUITE("package/fex_images") {
  TEST_CASE("the list gives images with whole sums") {
    const auto images = parse_fex_images(list_with("https://x/y.ero", "00AB"), "list");
    REQUIRE(images.has_value());
    REQUIRE(images->size() == 2);
    CHECK((*images)[1] ==
          FexImage{"Fedora 42 (EroFS)", "fedora", "42", "https://x/y.ero", "00000000000000ab", "erofs"});
  }

  TEST_CASE("what is no list is refused") {
    for (const char* text : {"[]", "{}", R"({"v1": []})", R"({"v2": {}})"}) {
      const auto images = parse_fex_images(text, "https://x/list");
      REQUIRE_FALSE(images.has_value());
      CHECK(images.error().what == "'https://x/list' is no list of FEX images: expected an object 'v1'");
    }
    const auto no_sum = parse_fex_images(list_with("https://x/y", "xyz"), "l");
    REQUIRE_FALSE(no_sum.has_value());
    CHECK(no_sum.error().what == "the image 'Fedora 42 (EroFS)' in 'l' has no usable Hash");
    const auto no_url = parse_fex_images(list_with("ftp://x/y", "1"), "l");
    REQUIRE_FALSE(no_url.has_value());
    CHECK(no_url.error().what == "the image 'Fedora 42 (SquashFS)' in 'l' has no usable URL");
    // A list from elsewhere names no file of this machine.
    const std::string local = list_with("file:///x/y", "1");
    CHECK(parse_fex_images(local, "file:///l").has_value());
    const auto foreign = parse_fex_images(local, "https://x/l");
    REQUIRE_FALSE(foreign.has_value());
    CHECK(foreign.error().what == "the image 'Fedora 42 (SquashFS)' in 'https://x/l' has no usable URL");
  }

  TEST_CASE(
      "a name may leave out the form, and then means the image that "
      "needs no conversion") {
    auto images = *parse_fex_images(list_with("https://x/y", "1"), "l");
    CHECK(name_of(images, "Fedora 42 (SquashFS)") == "Fedora 42 (SquashFS)");
    CHECK(name_of(images, "fedora 42") == "Fedora 42 (EroFS)");
    CHECK(name_of(images, "Fedora 4") ==
          "FEX publishes no image 'Fedora 4'; it publishes: Fedora 42 "
          "(SquashFS), Fedora 42 (EroFS)");
    images.push_back({"Fedora 42 Beta", "fedora", "42b", "https://x/z", "0", "erofs"});
    CHECK(name_of(images, "fedora 42").starts_with("FEX publishes no image 'fedora 42'"));
    CHECK(name_of(images, "Fedora 42 (EroFT)").ends_with("did you mean 'Fedora 42 (EroFS)'?"));
  }

  TEST_CASE("locking fetches, verifies and records the image") {
    Place place;
    const auto locked = lock_fex_image("base", "Fedora 42", place.list(k_sum), std::nullopt, place.around);
    REQUIRE_MESSAGE(locked.has_value(), locked.error().what);
    CHECK(locked->name == "base");
    CHECK(locked->fex == "Fedora 42");
    CHECK(locked->url == "file://" + place.image);
    CHECK(locked->xxh3 == k_sum);
    CHECK(locked->size == 9);
    CHECK(locked->sha256 == orch::hash::sha256_of("image one"));
    CHECK(std::filesystem::exists(place.around.cache_dir + "/downloads/sha256/" + locked->sha256.hex()));

    // Once more: the list says that it is the same, nothing is fetched.
    std::filesystem::remove(place.image);
    const auto again = lock_fex_image("base", "Fedora 42", place.list(k_sum), *locked, place.around);
    REQUIRE(again.has_value());
    CHECK(*again == *locked);
  }

  TEST_CASE("bytes that the list does not name are refused") {
    Place place;
    const auto locked = lock_fex_image("base", "Fedora 42", place.list("12"), std::nullopt, place.around);
    REQUIRE_FALSE(locked.has_value());
    CHECK(locked.error().what == "'file://" + place.image +
                                     "' is not what FEX's list names: its "
                                     "XXH3-64 is not 0000000000000012");
    CHECK_FALSE(std::filesystem::exists(place.around.cache_dir + "/downloads/sha256"));
  }

  TEST_CASE("an address of no kind that is fetched is refused") {
    Place place;
    const auto locked = lock_fex_image("base", "x", "ftp://x", std::nullopt, place.around);
    REQUIRE_FALSE(locked.has_value());
    CHECK(locked.error().what == "'ftp://x' is no address that can be fetched");
  }
}
