#include "launch/muvm_host_check.hpp"

#include "base/text.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

namespace orch::launch {

using Status = Check::Status;

namespace {

std::optional<std::string> on_path(const Host& host, const char* program) {
  return sys::find_program(program, sys::variable(host.environment, "PATH"));
}

bool has_option(const model::LaunchSpec& spec, std::string_view name) {
  return std::any_of(spec.muvm_args.begin(), spec.muvm_args.end(),
                     [name](const std::string& word) { return word.substr(0, word.find('=')) == name; });
}

Check warn_unless(bool ok, const char* id, std::string detail, const char* remedy) {
  return {id, ok ? Status::ok : Status::warning, ok ? "" : std::move(detail), ok ? "" : remedy};
}

// muvm ends without these, before it has a VM.
Check fail_unless(bool ok, const char* id, const char* detail, const char* remedy) {
  return {id, ok ? Status::ok : Status::failed, ok ? "" : detail, ok ? "" : remedy};
}

Check check_account(const Host& host) {
  const passwd* entry = ::getpwuid(host.uid);
  if (entry == nullptr)
    return {"account", Status::failed,
            fmt::format("the user database has no entry for uid {}, which muvm asks for", host.uid),
            "add the user to /etc/passwd"};
  const std::string home = entry->pw_dir;
  const sys::Result<struct stat> info = sys::stat_file(home);
  if (!info || !S_ISDIR(info->st_mode))
    return {
        "account", Status::failed,
        fmt::format("the home directory '{}' does not exist: the guest starts there", base::printable(home)),
        "make it, or mend the entry in the user database"};
  return {"account", Status::ok, home, ""};
}

// muvm up to 0.6.0 starts "FEXInterpreter", later ones "FEX"; FEX has the former up to 2607, the latter from 2510.
Check check_emulator(const Host& host) {
  const auto old_name = on_path(host, "FEXInterpreter");
  const auto new_name = on_path(host, "FEX");
  if (!old_name && !new_name)
    return {"emulator", Status::failed, "neither 'FEXInterpreter' nor 'FEX' is on PATH",
            "install FEX (fex-emu)"};
  const auto guest = on_path(host, "muvm-guest");
  const sys::Result<std::string> bytes =
      guest ? sys::read_file(*guest) : sys::Result<std::string>(std::string());
  const bool wants_old = bytes && bytes->find("FEXInterpreter") != std::string::npos;
  if (wants_old && !old_name)
    return {"emulator", Status::warning,
            "muvm-guest seems to start 'FEXInterpreter', and this FEX has only 'FEX'",
            "update muvm, or make a link of that name to FEX on PATH"};
  const bool wants_new = bytes &&
                         bytes->starts_with(
                             "\x7F"
                             "ELF") &&
                         !wants_old;
  if (wants_new && !new_name)
    return {"emulator", Status::warning,
            "muvm-guest seems to start 'FEX', and this FEX has only 'FEXInterpreter'",
            "update FEX, or make a link of that name to FEXInterpreter on PATH"};
  return {"emulator", Status::ok, old_name ? *old_name : *new_name, ""};
}

Check check_display(const Host& host) {
  const std::string display = sys::variable(host.environment, "DISPLAY");
  if (display.empty()) return {"display", Status::ok, "DISPLAY is not set: no X11 in the guest", ""};
  if (display[0] != ':')
    return {"display", Status::failed,
            fmt::format("DISPLAY is '{}', and muvm forwards local displays only", base::printable(display)),
            "set it to ':N', or unset it"};
  const std::string authority = sys::variable(host.environment, "XAUTHORITY");
  if (!authority.empty() && !sys::open_file(authority, O_RDONLY))
    return {
        "display", Status::failed,
        fmt::format("XAUTHORITY '{}' cannot be read, and muvm ends without it", base::printable(authority)),
        "point it to the file of this session, or unset it"};
  if (!sys::exists(k_x11_folder))
    return {
        "display", Status::warning,
        fmt::format("{} does not exist: x11bridge has no place for its socket in the guest", k_x11_folder),
        k_x11_folder_remedy};
  return {"display", Status::ok, display, ""};
}

Check check_execute_pre(const Host& host) {
  for (const Configuration& configuration : host.configurations) {
    if (configuration.name != "muvm") continue;
    if (!configuration.problem.empty())
      return {"muvm-config", Status::failed,
              fmt::format("'{}' is no JSON: {}", base::printable(configuration.path), configuration.problem),
              "mend it; muvm ends where it cannot read it"};
    const std::string program =
        configuration.content.is_object() ? configuration.content.string_or("execute_pre", "") : "";
    const bool looked_up = program.find('/') == std::string::npos;  // on PATH, in the VM
    if (!looked_up && ::access(program.c_str(), X_OK) != 0)
      return {"muvm-config", Status::failed,
              fmt::format("execute_pre in '{}' names '{}', which cannot be run",
                          base::printable(configuration.path), base::printable(program)),
              "take it out, or make that program"};
    return {"muvm-config", Status::ok, configuration.path, ""};
  }
  return {"muvm-config", Status::ok, "none", ""};
}

// The root image that FEX takes from its files: the last one that names one has its way. Those for single programs have no
// say in it: FEX's server, which all share, does not read them.
const Configuration* root_image_setting(const std::vector<const Configuration*>& files) {
  const Configuration* out = nullptr;
  for (const Configuration* file : files) {
    const Value* image = file->content.is_object() ? file->content.find_path("Config.RootFS") : nullptr;
    if (image != nullptr && image->is_string() && !image->as_string().empty() &&
        !sys::parent_path(file->path).ends_with("/AppConfig"))
      out = file;
  }
  return out;
}

Check check_fex_config(const model::LaunchSpec& spec, const Host& host) {
  std::vector<const Configuration*> files;
  std::vector<std::string> paths;
  std::vector<std::string> problems;
  for (const Configuration& file : host.configurations) {
    if (file.name != "FEX") continue;
    files.push_back(&file);
    paths.push_back(base::printable(file.path));
    if (!file.problem.empty())
      problems.push_back(fmt::format("'{}' is no JSON: {}", paths.back(), file.problem));
  }
  if (!problems.empty())
    return {"fex-config", Status::warning, base::join(problems, "; "),
            problems.size() == 1 ? "mend it" : "mend them"};
  const Configuration* setting = root_image_setting(files);
  if (setting == nullptr)
    return {"fex-config", Status::ok, paths.empty() ? "none" : base::join(paths, ", "), ""};
  return {"fex-config", Status::ok,
          fmt::format("'{}' names the root image '{}'{}", base::printable(setting->path),
                      base::printable(setting->content.find_path("Config.RootFS")->as_string()),
                      spec.images.empty() ? "" : "; FEX_ROOTFS is set over it"),
          ""};
}

Check check_kvm() {
  if (::access("/dev/kvm", R_OK | W_OK) == 0) return {"kvm", Status::ok, "", ""};
  if (errno == ENOENT)
    return {"kvm", Status::warning, "/dev/kvm does not exist: this kernel offers no virtual machines",
            "use a kernel with KVM, started at EL2"};
  return {"kvm", Status::warning, fmt::format("/dev/kvm cannot be opened: {}", std::strerror(errno)),
          "add yourself to the group that it belongs to (mostly kvm), and log in again"};
}

Check check_kernel_library() {
  const std::vector<std::string> k_folders = {"/usr/lib64", "/usr/lib", "/usr/local/lib64", "/usr/local/lib",
                                              "/usr/lib/aarch64-linux-gnu"};
  const bool found = std::any_of(k_folders.begin(), k_folders.end(), [](const std::string& folder) {
    return sys::exists(folder + "/libkrunfw.so.5") || sys::exists(folder + "/libkrunfw.so.4");
  });
  return warn_unless(
      found, "libkrunfw",
      fmt::format("libkrunfw.so.5, the guest's kernel, is in none of {}", base::join(k_folders, ", ")),
      "install libkrunfw");
}

Check check_memory() {
  constexpr std::int64_t k_least_mib = 2048;
  const sys::Result<std::string> text = sys::read_file("/proc/meminfo");
  constexpr std::string_view k_key = "MemAvailable:";
  const std::size_t at = text ? text->find(k_key) : std::string::npos;
  if (at == std::string::npos)
    return {"memory", Status::skipped, "/proc/meminfo does not say what is available", ""};
  const std::int64_t mib = std::strtoll(text->c_str() + at + k_key.size(), nullptr, 10) / 1024;
  if (mib >= k_least_mib)
    return {"memory", Status::ok, fmt::format("at least {} MiB are available", k_least_mib), ""};
  return {"memory", Status::warning,
          fmt::format("only {} MiB are available, and the VM may take 80 % of all memory", mib),
          "end other programs, or limit it by [launch] muvm_args = [\"--mem=MIB\"]"};
}

}  // namespace

std::vector<Check> check_muvm_host(const model::LaunchSpec& spec, const Host& host, const MuvmState& state) {
  std::vector<Check> out = {check_account(host), check_emulator(host), check_display(host),
                            check_execute_pre(host), check_fex_config(spec, host)};
  const bool udevd_elsewhere = std::any_of(spec.environment.begin(), spec.environment.end(),
                                           [](const auto& pair) { return pair.first == "MUVM_UDEVD_PATH"; });
  const auto add = [&out](const char* id, bool ok, const char* detail, const char* remedy) {
    out.push_back(warn_unless(ok, id, detail, remedy));
  };
  out.push_back(check_kvm());
  out.push_back(check_kernel_library());
  out.push_back(fail_unless(on_path(host, "passt") || has_option(spec, "--passt-socket"), "passt",
                            "'passt' is not on PATH", "install passt"));
  out.push_back(fail_unless(on_path(host, "muvm-guest").has_value(), "muvm-guest",
                            "'muvm-guest' is not on PATH", "install all of muvm"));
  add("fex-server", on_path(host, "FEXServer").has_value(), "'FEXServer' is not on PATH",
      "install all of FEX");
  // muvm tells FEX of the stack there; FEX_ROOTFS tells it as well.
  add("fex-data",
      !spec.images.empty() || sys::exists("/usr/share/fex-emu") || sys::exists("/usr/local/share/fex-emu"),
      "neither /usr/share/fex-emu nor /usr/local/share/fex-emu exists: FEX is told of no root image",
      "install FEX's data files");
  add("udevd", ::access("/usr/lib/systemd/systemd-udevd", X_OK) == 0 || udevd_elsewhere,
      "/usr/lib/systemd/systemd-udevd is not there",
      "install systemd's udev, or set MUVM_UDEVD_PATH by --env (muvm 0.5)");
  add("resolv-conf", sys::exists("/etc/resolv.conf"),
      "/etc/resolv.conf is not there: the guest cannot mount its own", "make it, if only as an empty file");
  const bool needs_input = state.features && !state.features->has("--passt-args");
  add("input", !needs_input || sys::exists("/dev/input"),
      "/dev/input is not there, which muvm before 0.6 needs", "update muvm");
  add("sound", on_path(host, "socat").has_value(), "'socat' is not on PATH: no sound in the guest",
      "install socat");
  if (spec.script_shell == "fexbash")
    add("fexbash", on_path(host, "FEXBash").has_value(), "'FEXBash' is not on PATH",
        "install all of FEX, or set script_shell = \"host\"");
  out.push_back(check_memory());
  const long page = ::sysconf(_SC_PAGESIZE);
  out.push_back({"page-size", Status::ok, fmt::format("{} bytes here, 4096 in the guest", page), ""});
  return out;
}

}  // namespace orch::launch
