#include "sys/shared_library.hpp"

#include <doctest/doctest.h>

using orch::base::ErrorKind;
using orch::sys::SharedLibrary;

TEST_CASE("a library that is not there is an error that names the package") {
  const auto loaded = SharedLibrary::load({"libnothing.so.1", "libnothing.so.0"}, "libnothing", "dreams",
                                          "install the package 'libnothing0'");
  REQUIRE(!loaded);
  CHECK(loaded.error().kind == ErrorKind::not_found);
  CHECK(loaded.error().what == "libnothing cannot be loaded, and dreams need it");
  CHECK(loaded.error().hint == "install the package 'libnothing0'");
}

TEST_CASE("the first name that can be loaded counts, and its functions can be called") {
  auto library = SharedLibrary::load({"libnothing.so.1", "libc.so.6"}, "libc", "tests", "");
  REQUIRE(library);
  int (*absolute)(int) = nullptr;
  library->find("abs", absolute);
  REQUIRE(library->complete());
  CHECK(absolute(-3) == 3);
}

TEST_CASE("a function that a library lacks is named") {
  auto library = SharedLibrary::load({"libc.so.6"}, "libc", "tests", "install a newer one");
  REQUIRE(library);
  int (*absent)(int) = nullptr;
  int (*absolute)(int) = nullptr;
  library->find("orch_no_such_function", absent);
  library->find("abs", absolute);
  const auto complete = library->complete();
  REQUIRE(!complete);
  CHECK(complete.error().kind == ErrorKind::unsupported);
  CHECK(complete.error().what == "libc as installed here has no function 'orch_no_such_function'");
  CHECK(complete.error().hint == "install a newer one");
}
