#include "package/tool_environment.hpp"

namespace orch::package {

std::string search_path(const Surroundings& around) {
  const auto found = around.environment.find("PATH");
  const std::string path = found == around.environment.end() ? std::string() : found->second;
  return path + (path.empty() ? "" : ":") + "/usr/sbin:/usr/bin:/sbin:/bin";
}

sys::Environment tool_environment(const Surroundings& around) {
  sys::Environment environment;
  for (const char* name : {"http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy", "HTTP_PROXY",
                           "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}) {
    const auto found = around.environment.find(name);
    if (found != around.environment.end()) environment[name] = found->second;
  }
  environment["PATH"] = search_path(around);
  environment["LC_ALL"] = "C";
  environment["TZ"] = "UTC";
  return environment;
}

sys::Environment rpm_environment(const Surroundings& around, const std::string& home) {
  sys::Environment environment = tool_environment(around);
  environment["LC_ALL"] = "C.UTF-8";
  environment["HOME"] = home;
  // dnf 5 cuts its table to the terminal's width.
  environment["DNF5_FORCE_COLUMNS"] = "4000";
  environment["FORCE_COLUMNS"] = "4000";
  return environment;
}

}  // namespace orch::package
