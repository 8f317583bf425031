#include "launch/host_packages.hpp"

#include "base/text.hpp"
#include "sys/file.hpp"

#include <algorithm>
#include <tuple>

namespace orch::launch {

namespace {

std::vector<std::string> question(bool dpkg) {
  std::vector<std::string> out =
      dpkg ? std::vector<std::string>{"dpkg-query", "-W", "-f",
                                      "${Package}\\t${Version}\\t${db:Status-Status}\\n"}
           : std::vector<std::string>{"rpm", "-qa", "--qf", "%{NAME}\\t%{VERSION}-%{RELEASE}\\n"};
  // Patterns of both; Debian's names of libraries end with their major version.
  for (const char* pattern :
       {"muvm*", "libkrun*", "fex-emu*", "virglrenderer*", "libvirglrenderer*", "mesa-dri-drivers",
        "mesa-vulkan-drivers", "mesa-fex-emu-overlay*", "libgl1-mesa-dri"})
    out.emplace_back(pattern);
  return out;
}

}  // namespace

std::vector<HostPackage> parse_packages(std::string_view lines) {
  std::vector<HostPackage> out;
  for (const std::string_view line : base::split(lines, '\n')) {
    const std::vector<std::string_view> fields = base::split(line, '\t');
    if (fields.size() < 2 || (fields.size() > 2 && fields[2] != "installed")) continue;
    out.push_back({base::printable(fields[0]), base::printable(fields[1])});
  }
  std::sort(out.begin(), out.end(), [](const HostPackage& a, const HostPackage& b) {
    return std::tie(a.name, a.version) < std::tie(b.name, b.version);
  });
  return out;
}

std::vector<HostPackage> host_packages(const Host& host) {
  const bool dpkg = sys::exists("/var/lib/dpkg/status");
  sys::Command command;
  command.argv = question(dpkg);
  const auto program = sys::find_program(command.argv[0], sys::variable(host.environment, "PATH"));
  if (!program || host.processes == nullptr) return {};
  command.argv[0] = *program;
  command.environment = host.environment;
  command.timeout = std::chrono::seconds(5);
  // dpkg-query ends with 1 where a pattern fits nothing.
  const Result<sys::Exit> exit = host.processes->run(command);
  return exit ? parse_packages(exit->output) : std::vector<HostPackage>();
}

}  // namespace orch::launch
