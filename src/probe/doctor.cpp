#include "probe/doctor.hpp"

#include "base/text.hpp"
#include "image/open_tree.hpp"
#include "image/os_release.hpp"
#include "launch/harmful_variables.hpp"
#include "package/source.hpp"
#include "sys/fd.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <set>

namespace orch::probe {

using launch::Check;
using Status = launch::Check::Status;

namespace {

struct PackageNames {
  std::string_view thing;
  std::string_view apt;
  std::string_view dnf;
  std::string_view pacman;
};
// Empty: not in the distribution's own archive, as far as is known. Fedora's names of muvm's and FEX's parts: Fedora Asahi Remix.
constexpr std::array k_packages = {
    PackageNames{"ninja", "ninja-build", "ninja-build", "ninja"},
    PackageNames{"mkfs.erofs", "erofs-utils", "erofs-utils", "erofs-utils"},
    PackageNames{"fsck.erofs", "erofs-utils", "erofs-utils", "erofs-utils"},
    PackageNames{"unsquashfs", "squashfs-tools", "squashfs-tools", "squashfs-tools"},
    PackageNames{"muvm", "", "muvm", ""},
    PackageNames{"muvm-guest", "", "muvm", ""},
    PackageNames{"emulator", "", "fex-emu", ""},
    PackageNames{"fex-server", "", "fex-emu", ""},
    PackageNames{"fex-data", "", "fex-emu", ""},
    PackageNames{"base-image", "", "fex-emu-rootfs-fedora", ""},
    PackageNames{"libkrunfw", "", "libkrunfw", ""},
    PackageNames{"passt", "passt", "passt", "passt"},
    PackageNames{"sound", "socat", "socat", "socat"},
    PackageNames{"udevd", "udev", "systemd-udev", "systemd"},
};

std::string os_release() {
  for (const char* path : {"/etc/os-release", "/usr/lib/os-release"})
    if (sys::Result<std::string> text = sys::read_file(path)) return *std::move(text);
  return {};
}

// ---- the machine

Check check_machine(const std::string& machine) {
  if (machine == "aarch64" || machine == "x86_64") return {"machine", Status::ok, machine, ""};
  return {"machine", Status::failed,
          fmt::format("this machine is '{}': muvm runs on aarch64, the native launcher on x86_64", machine),
          "use a machine of one of these kinds"};
}

// FEX-Emu, README: a kernel of 5.15 or later.
Check check_kernel(const std::string& launcher) {
  utsname name{};
  if (::uname(&name) != 0) return {"kernel", Status::skipped, "uname(2) does not answer", ""};
  const std::string release = name.release;
  char* rest = nullptr;
  const long major = std::strtol(name.release, &rest, 10);
  const long minor = rest != nullptr && *rest == '.' ? std::strtol(rest + 1, nullptr, 10) : 0;
  const bool old = major < 5 || (major == 5 && minor < 15);
  if (launcher == "muvm" && old)
    return {"kernel", Status::warning, fmt::format("Linux {}; FEX wants 5.15 or later", release),
            "update the kernel"};
  return {"kernel", Status::ok, "Linux " + release, ""};
}

Check check_page_size() {
  return {"page-size", Status::ok, fmt::format("{} bytes", ::sysconf(_SC_PAGESIZE)), ""};
}

// Xlib's names of local displays: ":N" or ":N.S", a socket in /tmp/.X11-unix, also under that name in the abstract space.
Check check_x_server(const launch::Host& host) {
  const std::string display = sys::variable(host.environment, "DISPLAY");
  if (display.empty())
    return {"x-server", Status::skipped, "DISPLAY is not set: there is no X server to ask", ""};
  if (display[0] != ':')
    return {"x-server", Status::skipped,
            fmt::format("DISPLAY is '{}': not of this machine, so it is not asked", base::printable(display)),
            ""};
  const std::string path = "/tmp/.X11-unix/X" + display.substr(1, display.find('.') - 1);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() + 1 < sizeof address.sun_path) {
    for (const std::size_t abstract : {0U, 1U}) {
      std::memcpy(address.sun_path + abstract, path.c_str(), path.size());
      const sys::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
      if (fd && ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0)  // NOLINT
        return {"x-server", Status::ok, fmt::format("{} takes connections", base::printable(display)), ""};
      address = {};
      address.sun_family = AF_UNIX;
    }
  }
  return {"x-server", Status::warning,
          fmt::format("no X server takes connections at DISPLAY '{}'", base::printable(display)),
          "set DISPLAY to that of this session, or unset it"};
}

// ---- tools and directories

std::string first_line(std::string_view text) {
  return base::printable(base::trim(text.substr(0, text.find('\n'))));
}

struct ToolNeed {
  const char* name;
  const char* version_option;
  Status where_absent;
  const char* used_for;
};

Check check_tool(const ToolNeed& tool, const launch::Host& host) {
  const auto path = sys::find_program(tool.name, sys::variable(host.environment, "PATH"));
  if (!path)
    return {tool.name, tool.where_absent, fmt::format("it is not on PATH: {}", tool.used_for),
            fmt::format("install {}", tool.name)};
  sys::Command command;
  command.argv = {*path, tool.version_option};
  command.environment = host.environment;
  command.timeout = std::chrono::seconds(5);
  const auto exit = host.processes->run(command);
  if (!exit || exit->timed_out || exit->signal != 0)
    return {tool.name, Status::warning, fmt::format("{}, which does not say its version", *path),
            "run it by hand; its libraries may be missing"};
  const std::string line = first_line(exit->output.empty() ? exit->errors : exit->output);
  return {tool.name, Status::ok, fmt::format("{}: {}", *path, line), ""};
}

std::vector<Check> check_tools(const launch::Host& host) {
  constexpr std::array k_tools = {
      ToolNeed{"ninja", "--version", Status::failed, "it runs the steps of every build"},
      ToolNeed{"mkfs.erofs", "-V", Status::failed, "it writes every image"},
      ToolNeed{"fsck.erofs", "-V", Status::warning, "it extracts images where the caller may not mount"},
      ToolNeed{"unsquashfs", "-version", Status::warning, "it is the second way to extract an AppImage"},
  };
  std::vector<Check> out;
  for (const ToolNeed& tool : k_tools) out.push_back(check_tool(tool, host));
  const std::string search = sys::variable(host.environment, "PATH");
  std::vector<std::string> managers;
  for (const char* name : {"apt-get", "dnf5", "dnf"})
    if (sys::find_program(name, search)) managers.emplace_back(name);
  if (managers.empty())
    out.push_back({"packages", Status::warning,
                   "neither apt-get nor dnf is on PATH: no overlays from packages",
                   "install apt or dnf, or take finished images"});
  else
    out.push_back({"packages", Status::ok, base::join(managers, ", "), ""});
  return out;
}

// The nearest folder above, or the path itself, that exists.
std::string existing_part(std::string path) {
  while (path.size() > 1 && !sys::exists(path)) path = sys::parent_path(path);
  return path;
}

std::vector<Check> check_cache(const std::string& folder) {
  constexpr std::uint64_t k_least = 2ULL << 30;
  const std::string place = existing_part(folder);
  std::vector<Check> out;
  if (::access(place.c_str(), W_OK | X_OK) == 0)
    out.push_back({"cache", Status::ok, folder, ""});
  else
    out.push_back({"cache", Status::failed,
                   fmt::format("'{}' cannot be written: {}", base::printable(place), std::strerror(errno)),
                   "mend its permissions, or name another with --cache-dir"});
  struct statvfs info {};
  if (::statvfs(place.c_str(), &info) != 0) {
    out.push_back({"disk-space", Status::skipped,
                   fmt::format("'{}' does not say how much is free", base::printable(place)), ""});
    return out;
  }
  const std::uint64_t free = std::uint64_t{info.f_bavail} * info.f_frsize;
  if (free >= k_least)
    out.push_back({"disk-space", Status::ok, "more than 2 GiB are free for the store", ""});
  else
    out.push_back({"disk-space", Status::warning,
                   fmt::format("{} are free for the store; an application and its overlays need about 2 GiB",
                               base::human_size(free)),
                   "run 'appimage-orch cache gc', or name another place with --cache-dir"});
  return out;
}

// ---- the launcher

// Checks of a launcher that are about the application, which there is none of here.
bool concerns_an_application(const Check& check) {
  constexpr std::array<std::string_view, 4> k_ids = {"entry", "images", "paths", "muvm-args"};
  return std::find(k_ids.begin(), k_ids.end(), check.id) != k_ids.end();
}

// "Fedora Linux 42 (packages of fedora 42 match it)"; what is not said is not made up.
std::string distribution_of(const std::string& path) {
  const auto opened = image::open_tree(path);
  if (!opened) return "which cannot be read: " + base::one_line(opened.error());
  const std::string text = image::os_release_of(*opened->tree).value_or(std::string());
  const std::string id(package::os_release_field(text, "ID"));
  if (id.empty()) return "it does not say which distribution it is";
  const std::string release(package::os_release_field(text, "VERSION_ID"));
  const std::string name(package::os_release_field(text, "PRETTY_NAME"));
  const std::string packages = release.empty() ? id : id + " " + release;
  return base::printable(
      fmt::format("{} (packages of {} match it)", name.empty() ? packages : name, packages));
}

Check check_image(const Candidate& candidate) {
  const bool is_base = candidate.what == "base";
  const std::string id = is_base ? "base-image" : "gpu-image";
  const bool converted = candidate.reason.find("to be converted") != std::string::npos;
  std::string detail = base::printable(candidate.path);
  if (is_base) detail += ", " + distribution_of(candidate.path);
  if (!converted) return {id, Status::ok, detail, ""};
  return {id, Status::warning, fmt::format("{}: {}", detail, candidate.reason),
          "nothing: a copy that the guest can mount is made at the first build"};
}

std::vector<Check> check_found_images(const std::vector<Candidate>& candidates) {
  std::vector<Check> out;
  std::vector<std::string> looked;
  bool has_base = false;
  for (const Candidate& candidate : candidates) {
    if (candidate.what != "base" && candidate.what != "gpu") continue;
    if (candidate.verdict == Candidate::Verdict::taken) {
      out.push_back(check_image(candidate));
      has_base |= candidate.what == "base";
    } else if (candidate.what == "base") {
      looked.push_back(fmt::format("'{}': {}", base::printable(candidate.path), candidate.reason));
    }
  }
  if (!has_base)
    out.push_back({"base-image", Status::failed, fmt::format("no base image: {}", base::join(looked, "; ")),
                   "get one with FEXRootFSFetcher, or name one in the profiles ([stack] base)"});
  return out;
}

void name_commands(std::vector<Check>& checks) {
  const std::string text = os_release();
  for (Check& check : checks) {
    if (check.status != Status::failed && check.status != Status::warning) continue;
    const std::string command = install_command(check.id, text);
    if (!command.empty()) check.remedy += fmt::format(" ({})", command);
  }
}

}  // namespace

bool Diagnosis::ok() const {
  return std::none_of(checks.begin(), checks.end(),
                      [](const Check& check) { return check.status == Status::failed; });
}

std::string install_command(std::string_view thing, std::string_view os_release) {
  const auto row = std::find_if(k_packages.begin(), k_packages.end(),
                                [thing](const PackageNames& names) { return names.thing == thing; });
  if (row == k_packages.end()) return {};
  std::string like = fmt::format(" {} {} ", package::os_release_field(os_release, "ID"),
                                 package::os_release_field(os_release, "ID_LIKE"));
  const auto is = [&like](std::string_view name) {
    return like.find(fmt::format(" {} ", name)) != std::string::npos;
  };
  const auto command = [](std::string_view start, std::string_view package) {
    return package.empty() ? std::string() : fmt::format("{} {}", start, package);
  };
  if (is("debian") || is("ubuntu")) return command("sudo apt install", row->apt);
  if (is("fedora") || is("rhel")) return command("sudo dnf install", row->dnf);
  if (is("arch") || is("archarm")) return command("sudo pacman -S", row->pacman);
  return {};
}

base::Result<Diagnosis> diagnose(const model::LaunchSpec& launch, const launch::Host& host,
                                 std::vector<Candidate> candidates) {
  const std::string& launcher = launch.launcher;
  Diagnosis out;
  out.launcher = launcher;
  out.candidates = std::move(candidates);
  out.checks = {check_machine(host.machine), check_kernel(launcher), check_x_server(host)};
  if (launcher != "muvm") out.checks.push_back(check_page_size());  // muvm's own checks have it
  for (Check& check : check_tools(host)) out.checks.push_back(std::move(check));
  for (Check& check : check_cache(host.cache_dir)) out.checks.push_back(std::move(check));
  ORCH_TRY(const std::unique_ptr<launch::Launcher> with, launch::make_launcher(launcher, host));
  std::set<std::string> known;
  for (const Check& check : out.checks) known.insert(check.id);
  for (Check& check : with->check(launch))
    if (!concerns_an_application(check) && known.insert(check.id).second)
      out.checks.push_back(std::move(check));
  if (launcher == "muvm")
    for (Check& check : check_found_images(out.candidates)) out.checks.push_back(std::move(check));
  else
    out.checks.push_back(
        {"muvm", Status::skipped,
         "not looked at: this machine starts applications natively ('--launcher muvm' looks)", ""});
  name_commands(out.checks);
  return out;
}

Value to_value(const Diagnosis& diagnosis) {
  Value checks = Value::array();
  for (const Check& check : diagnosis.checks) checks.push(launch::to_value(check));
  return Value::object({{"schema", "appimage-orch/doctor/1"},
                        {"ok", diagnosis.ok()},
                        {"launcher", diagnosis.launcher},
                        {"checks", std::move(checks)},
                        {"discovery", to_value(diagnosis.candidates)}});
}

}  // namespace orch::probe
