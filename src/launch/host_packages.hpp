// The versions of what a launch with muvm depends on, where the machine's package manager knows them: muvm itself has no
// --version, FEX and Mesa are several files each.
#pragma once

#include "launch/launcher.hpp"

#include <string>
#include <vector>

namespace orch::launch {

struct HostPackage {
  std::string name;
  std::string version;  // with the release, as the package manager writes it
};

// Installed packages of muvm, libkrun, FEX, Mesa and virglrenderer, sorted; from dpkg-query or rpm, whichever has a database
// here. Empty where neither has, or where it fails.
std::vector<HostPackage> host_packages(const Host& host);

// Of lines "NAME\tVERSION\tSTATUS"; without a status, or with "installed".
std::vector<HostPackage> parse_packages(std::string_view lines);

}  // namespace orch::launch
