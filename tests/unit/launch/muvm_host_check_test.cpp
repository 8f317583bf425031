// What is said of FEX's files; the rest of the host is this machine's (tests/integration/test_launch_muvm.py).
#include "launch/muvm_host_check.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

using namespace orch::launch;
using orch::base::Value;

namespace {

Configuration fex(const std::string& path, const std::string& root_image, const std::string& problem = "") {
  Value content = Value::object({{"Config", Value::object({{"TSOEnabled", "1"}})}});
  if (!root_image.empty()) content.find("Config")->set("RootFS", root_image);
  return {"FEX", path, "", problem.empty() ? std::move(content) : Value(), problem};
}

Check fex_check(std::vector<Configuration> configurations) {
  Host host;
  host.configurations = std::move(configurations);
  const std::vector<Check> all = check_muvm_host({}, host, {});
  const auto found =
      std::find_if(all.begin(), all.end(), [](const Check& check) { return check.id == "fex-config"; });
  REQUIRE(found != all.end());
  return *found;
}

}  // namespace

TEST_CASE("each file of FEX that is no JSON is named") {
  CHECK(fex_check({}).detail == "none");
  const Check good = fex_check({fex("/f/Config.json", ""), fex("/f/AppConfig/a.json", "")});
  CHECK(good.status == Check::Status::ok);
  CHECK(good.detail == "/f/Config.json, /f/AppConfig/a.json");
  const Check one = fex_check({fex("/f/Config.json", "Fedora"), fex("/f/AppConfig/a.json", "", "line 1")});
  CHECK(one.status == Check::Status::warning);
  CHECK(one.detail == "'/f/AppConfig/a.json' is no JSON: line 1");
  CHECK(one.remedy == "mend it");
  const Check two = fex_check(
      {fex("/f/Config.json", "", "line 2"), fex("/f/AppConfig/a.json", ""), fex("/own.json", "", "line 3")});
  CHECK(two.detail == "'/f/Config.json' is no JSON: line 2; '/own.json' is no JSON: line 3");
  CHECK(two.remedy == "mend them");
}

TEST_CASE("the root image is that of the last file of FEX that names one, and of no single program's") {
  const Configuration config = fex("/f/Config.json", "Fedora");
  const Configuration program = fex("/f/AppConfig/a.json", "Other");
  CHECK(fex_check({config, program}).detail == "'/f/Config.json' names the root image 'Fedora'");
  CHECK(fex_check({config, program, fex("/own.json", "Own")}).detail ==
        "'/own.json' names the root image 'Own'");
  CHECK(fex_check({config, program, fex("/own.json", "")}).detail ==
        "'/f/Config.json' names the root image 'Fedora'");
  CHECK(fex_check({program}).detail == "/f/AppConfig/a.json");
}
