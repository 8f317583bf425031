// What is fetched at all; the transfers are in tests/integration/test_fetch.py.
#include "package/download.hpp"

#include "support/temp_dir.hpp"

#include <doctest/doctest.h>

#include <string>

using orch::package::is_address;
using orch::package::is_local_address;

TEST_SUITE("package/download") {
  TEST_CASE("addresses are told from paths, in letters of any case") {
    for (const char* url :
         {"https://h/x", "http://h/x", "file:///x", "file:/x", "HTTPS://h/x", "Http://h", "FILE:///x"})
      CHECK_MESSAGE(is_address(url), url);
    for (const char* url :
         {"", "h/x", "/x", "https:", "https:/h", "file:", "file:x", "file://h/x", "ftp://h/x", " https://h"})
      CHECK_MESSAGE(!is_address(url), url);
    CHECK(is_local_address("FILE:/x"));
    CHECK_FALSE(is_local_address("https://h/file:"));
    CHECK_FALSE(is_local_address(""));
  }

  TEST_CASE("what is no address is not fetched, whatever libcurl would make of it") {
    const orch::test::TempDir dir;
    const std::string file = dir.write("source", "text");
    for (const std::string& url : {std::string("127.0.0.1:9/x"), std::string("ftp://127.0.0.1:9/x"),
                                   "file://localhost" + file, file}) {
      const auto done = orch::package::download_to(url, dir / "target", 100);
      REQUIRE_FALSE(done.has_value());
      CHECK(done.error().kind == orch::base::ErrorKind::profile);
      CHECK(done.error().what == "'" + url + "' is no address that can be fetched");
    }
    REQUIRE(orch::package::download_to("file:" + file, dir / "target", 100).has_value());
  }
}
