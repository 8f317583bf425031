// The reference pages list every key with its type, default and meaning: they are compared with the tables of
// keys, and rewritten with ORCH_ACCEPT=1.
#include "load/keys.hpp"

#include "support/golden.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>

using orch::load::Key;
using orch::load::KeyType;

namespace {

std::string type_words(const Key& key) {
  switch (key.type) {
    case KeyType::text:
      return key.allowed.empty() ? "string" : "one of " + orch::load::spoken_list(key.allowed);
    case KeyType::integer:
      return "integer";
    case KeyType::boolean:
      return "true or false";
    case KeyType::texts:
      return "list of strings";
    case KeyType::text_table:
      return "table of strings";
    case KeyType::path:
      return "path";
    case KeyType::path_or_auto:
      return "path, or 'auto'";
    case KeyType::program:
      return "program name or path";
    case KeyType::duration:
      return "duration";
    case KeyType::size:
      return "number of bytes";
    case KeyType::compressor:
      return "compressor";
    case KeyType::app:
      return "path, or { url, sha256 }";
    case KeyType::layer:
      return key.allowed.empty() ? "layer" : "layer, or 'auto'";
    case KeyType::layers:
      return key.allowed.empty() ? "list of layers" : "list of layers, or 'auto' in it";
    case KeyType::any:
      return "see below";
    case KeyType::table:
      return "table";
    case KeyType::tables:
      return "list of tables";
    case KeyType::steps:
      return "list of tables, see [[step]]";
    case KeyType::named_tables:
      return "tables";
  }
  return {};
}

std::string default_words(const Key& key) {
  if (key.type == KeyType::table || key.type == KeyType::named_tables || key.fallback == "-") return "";
  if (key.fallback == "!") return "; required";
  if (key.fallback.empty()) return "";
  return fmt::format("; default `{}`", key.fallback);
}

std::string listing(std::span<const Key> keys) {
  std::string out;
  for (const Key& key : keys) {
    if (key.type == KeyType::table) continue;
    out += fmt::format("- `{}` ({}{}): {}\n", key.path, type_words(key), default_words(key), key.about);
  }
  return out;
}

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The part of a page between "<!-- keys: NAME -->" and "<!-- end -->" is the listing.
void check_listing(const std::string& page, const std::string& name, std::span<const Key> keys) {
  const std::filesystem::path path = std::filesystem::path(ORCH_SOURCE_DIR) / page;
  const std::string text = read(path);
  const std::string open = "<!-- keys: " + name + " -->\n";
  const std::size_t from = text.find(open);
  REQUIRE_MESSAGE(from != std::string::npos, page << " has no part for the keys of " << name);
  const std::size_t begin = from + open.size();
  const std::size_t end = text.find("<!-- end -->", begin);
  REQUIRE(end != std::string::npos);
  const char* accept = std::getenv("ORCH_ACCEPT");
  if (accept != nullptr && std::string_view(accept) == "1")
    std::ofstream(path, std::ios::binary) << text.substr(0, begin) << listing(keys) << text.substr(end);
  else
    CHECK_MESSAGE(text.substr(begin, end - begin) == listing(keys), page << ": ORCH_ACCEPT=1 rewrites it");
}

}  // namespace

TEST_SUITE("load/keys") {
  TEST_CASE("the manual page of profiles lists every key") {
    const std::string page = "docs/man/appimage-orch-profile.5.md";
    check_listing(page, "profile", orch::load::profile_keys());
    check_listing(page, "layer", orch::load::layer_keys());
    check_listing(page, "app", orch::load::app_keys());
    check_listing(page, "source", orch::load::source_keys());
    check_listing(page, "step", orch::load::step_keys());
  }

  TEST_CASE("the page of rules lists every key") {
    const std::string page = "docs/design/rules.md";
    check_listing(page, "rule", orch::load::rule_keys());
    check_listing(page, "parameter", orch::load::parameter_keys());
    check_listing(page, "tool", orch::load::tool_keys());
  }

  TEST_CASE("[source.NAME] and a source file have the same keys") {
    std::string profile;
    std::string file;
    for (const Key& key : orch::load::profile_keys())
      if (key.path.starts_with("source.*.")) profile += std::string(key.path.substr(9)) + " ";
    for (const Key& key : orch::load::source_keys())
      if (key.path != "schema") file += std::string(key.path) + " ";
    CHECK(profile == file);
  }

  TEST_CASE("durations are units that fall") {
    using orch::load::parse_duration;
    CHECK(parse_duration("0s") == 0);
    CHECK(parse_duration("90s") == 90'000);
    CHECK(parse_duration("2m") == 120'000);
    CHECK(parse_duration("1h30m") == 5'400'000);
    CHECK(parse_duration("1d2h3m4s5ms") == 93'784'005);
    for (const char* wrong : {"", "5", "s", "1m1h", "1s1s", "-1s", "+1s", " 1s", "1 s", "1.5s", "1w",
                              "99999999999999999999s", "1000000000h", "1001d"})
      CHECK_MESSAGE(!parse_duration(wrong), wrong);
  }
}
