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
#include <cctype>
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
    PackageNames{"fexbash", "", "fex-emu", ""},
    PackageNames{"fex-data", "", "fex-emu", ""},
    PackageNames{"base-image", "", "fex-emu-rootfs-fedora", ""},
    PackageNames{"gpu-image", "", "mesa-fex-emu-overlay-i386 mesa-fex-emu-overlay-x86-64", ""},
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

// "1.5", as every version here has it.
bool has_version(std::string_view text) {
  const auto digit = [&text](std::size_t at) {
    return at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])) != 0;
  };
  for (std::size_t dot = text.find('.'); dot != std::string_view::npos; dot = text.find('.', dot + 1))
    if (dot > 0 && digit(dot - 1) && digit(dot + 1)) return true;
  return false;
}

// What it says of itself; empty if it does not. The dynamic loader names versions, too, of what it misses: on standard error, and
// with a status. erofs-utils before 1.6 print theirs, and then do not know the option.
std::string version_line(const sys::Exit& exit) {
  constexpr int k_not_started = 126;  // 126 and 127: by a shell, or the dynamic loader
  if (exit.timed_out || exit.signal != 0 || exit.status == k_not_started || exit.status == k_not_started + 1)
    return {};
  if (has_version(exit.output)) return first_line(exit.output);
  return exit.status == 0 && has_version(exit.errors) ? first_line(exit.errors) : std::string();
}

Check check_tool(const ToolNeed& tool, const launch::Host& host) {
  const auto path = sys::find_program(tool.name, sys::variable(host.environment, "PATH"));
  if (!path)
    return {tool.name, tool.where_absent, fmt::format("it is not on PATH: {}", tool.used_for),
            fmt::format("install {}", tool.name)};
  sys::Command command;
  command.argv = {*path, tool.version_option};
  command.environment = host.environment;
  command.timeout = std::chrono::seconds(5);
  const sys::Result<sys::Exit> exit = host.processes->run(command);
  const std::string version = exit ? version_line(*exit) : std::string();
  if (!version.empty()) return {tool.name, Status::ok, fmt::format("{}: {}", *path, version), ""};
  std::string why = exit ? exit->describe() : base::one_line(exit.error());
  const std::string said = exit ? first_line(exit->errors.empty() ? exit->output : exit->errors) : "";
  if (!said.empty()) why += ": " + said;
  // One that is slow may yet work.
  return {tool.name, exit && exit->timed_out ? Status::warning : tool.where_absent,
          fmt::format("{}, which does not say its version: it {}", *path, why),
          "run it by hand; its libraries may be missing"};
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
std::string distribution_of(const image::FileTree& tree) {
  const std::string text = image::os_release_of(tree).value_or(std::string());
  const std::string id(package::os_release_field(text, "ID"));
  if (id.empty()) return "it does not say which distribution it is";
  const std::string release(package::os_release_field(text, "VERSION_ID"));
  const std::string name(package::os_release_field(text, "PRETTY_NAME"));
  const std::string packages = release.empty() ? id : id + " " + release;
  return base::printable(
      fmt::format("{} (packages of {} match it)", name.empty() ? packages : name, packages));
}

// What was found of the images of one kind, in words.
struct Images {
  std::vector<std::string> taken;
  std::vector<std::string> converted;  // those of them that the guest cannot mount as they are
  std::vector<std::string> broken;
  std::vector<std::string> others;
};

Images images_of(std::string_view what, const std::vector<Candidate>& candidates) {
  Images out;
  for (const Candidate& candidate : candidates) {
    if (candidate.what != what) continue;
    const std::string path = base::printable(candidate.path);
    const std::string words = fmt::format("'{}': {}", path, candidate.reason);
    if (candidate.verdict != Candidate::Verdict::taken) {
      (candidate.broken ? out.broken : out.others).push_back(words);
      continue;
    }
    const auto opened = image::open_tree(candidate.path);
    if (!opened)  // only now: it could be read when it was taken
      out.broken.push_back(fmt::format("'{}': {}", path, base::one_line(opened.error())));
    else
      out.taken.push_back(what == "base" ? path + ", " + distribution_of(*opened->tree) : path);
    if (candidate.reason.find("to be converted") != std::string::npos)
      out.converted.push_back(what == "base" ? candidate.reason : words);
  }
  return out;
}

// Where a run looks for it.
Check check_fexbash(const std::vector<Candidate>& candidates) {
  for (const Candidate& candidate : candidates)
    if (candidate.what == "FEXBash" && candidate.verdict == Candidate::Verdict::taken)
      return {"fexbash", Status::ok, candidate.path, ""};
  return {
      "fexbash", Status::warning,
      "FEXBash, the emulated shell of the stack, is not on this host: 'probe' needs it, and script_shell = "
      "\"fexbash\"",
      "install all of FEX"};
}

constexpr const char* k_made_again = "get it again, or take it away";
constexpr const char* k_copy_is_made = "nothing: a copy that the guest can mount is made at the first build";

Check check_base(const Images& images) {
  std::vector<std::string> looked = images.broken;
  looked.insert(looked.end(), images.others.begin(), images.others.end());
  if (images.taken.empty())
    return {"base-image", Status::failed, fmt::format("no base image: {}", base::join(looked, "; ")),
            "get one with FEXRootFSFetcher, or name one in the profiles ([stack] base)"};
  std::string detail = base::join(images.taken, "; ");
  if (!images.broken.empty())
    return {"base-image", Status::warning,
            fmt::format("{}; passed over: {}", detail, base::join(images.broken, "; ")), k_made_again};
  if (images.converted.empty()) return {"base-image", Status::ok, detail, ""};
  return {"base-image", Status::warning, fmt::format("{}: {}", detail, base::join(images.converted, "; ")),
          k_copy_is_made};
}

Check check_gpu(const Images& images) {
  if (!images.broken.empty())
    return {"gpu-image", Status::failed, base::join(images.broken, "; "), k_made_again};
  if (images.taken.empty())
    return {
        "gpu-image", Status::warning,
        fmt::format("no GPU overlays: x86 programs have no driver that matches an Apple GPU without those "
                    "of Mesa ({})",
                    base::join(images.others, "; ")),
        "install the Mesa overlays for muvm, or name images with drivers in the profiles ([stack] gpu)"};
  if (images.converted.empty()) return {"gpu-image", Status::ok, base::join(images.taken, "; "), ""};
  return {"gpu-image", Status::warning, base::join(images.converted, "; "), k_copy_is_made};
}

void name_commands(std::vector<Check>& checks) {
  const std::string text = os_release();
  for (Check& check : checks) {
    if (check.status != Status::failed && check.status != Status::warning) continue;
    // Nothing is installed over what is there, and broken.
    const std::string command = check.remedy == k_made_again || check.remedy == k_copy_is_made
                                    ? std::string()
                                    : install_command(check.id, text);
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
  for (Check& check : with->check(launch)) {
    if (concerns_an_application(check) || !known.insert(check.id).second) continue;
    if (check.status == Status::warning && check.ends_launches) check.status = Status::failed;
    out.checks.push_back(std::move(check));
  }
  if (launcher == "muvm") {
    out.checks.push_back(check_fexbash(out.candidates));
    out.checks.push_back(check_base(images_of("base", out.candidates)));
    out.checks.push_back(check_gpu(images_of("gpu", out.candidates)));
  } else {
    out.checks.push_back(
        {"muvm", Status::skipped,
         "not looked at: this machine starts applications natively ('--launcher muvm' looks)", ""});
  }
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
