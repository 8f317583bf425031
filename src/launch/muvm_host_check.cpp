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

// `found`: what there is, as evidence that it was looked at; nullopt: it is not there.
Check check_found(const char* id, const std::optional<std::string>& found, Status where_absent,
                  std::string absent, std::string remedy) {
  if (found) return {id, Status::ok, *found, ""};
  return {id, where_absent, std::move(absent), std::move(remedy)};
}

Check ending_launches(Check check) {
  check.ends_launches = check.status == Status::warning;
  return check;
}

struct ProgramNeed {
  const char* id;
  const char* program;
  Status where_absent;  // failed: muvm ends without it, before it has a VM
  const char* consequence;
  const char* remedy;
};

Check check_program_on_path(const Host& host, const ProgramNeed& need) {
  return check_found(need.id, on_path(host, need.program), need.where_absent,
                     fmt::format("'{}' is not on PATH{}", need.program, need.consequence), need.remedy);
}

// The first of these that is there.
std::optional<std::string> first_existing(const std::vector<std::string>& paths) {
  const auto found =
      std::ranges::find_if(paths, [](const std::string& path) { return sys::stat_file(path).has_value(); });
  return found == paths.end() ? std::nullopt : std::optional(*found);
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
    return ending_launches({"emulator", Status::warning,
                            "muvm-guest seems to start 'FEXInterpreter', and this FEX has only 'FEX'",
                            "update muvm, or make a link of that name to FEX on PATH"});
  const bool wants_new = bytes && bytes->starts_with(sys::k_elf_magic) && !wants_old;
  if (wants_new && !new_name)
    return ending_launches({"emulator", Status::warning,
                            "muvm-guest seems to start 'FEX', and this FEX has only 'FEXInterpreter'",
                            "update FEX, or make a link of that name to FEXInterpreter on PATH"});
  return {"emulator", Status::ok, old_name ? *old_name : *new_name, ""};
}

// Why muvm cannot read it; empty if it can. A pipe without a writer would be waited for, by muvm too.
std::string not_readable(const std::string& path) {
  const sys::Result<struct stat> info = sys::stat_file(path);
  if (info && !S_ISREG(info->st_mode)) return "is no file";
  return sys::open_file(path, O_RDONLY | O_NONBLOCK) ? "" : "cannot be read";
}

Check check_display(const Host& host) {
  const std::string display = sys::variable(host.environment, "DISPLAY");
  if (display.empty()) return {"display", Status::skipped, "DISPLAY is not set: no X11 in the guest", ""};
  if (display[0] != ':')
    return {"display", Status::failed,
            fmt::format("DISPLAY is '{}', and muvm forwards local displays only", base::printable(display)),
            "set it to ':N', or unset it"};
  const std::string authority = sys::variable(host.environment, "XAUTHORITY");
  const std::string why_not = authority.empty() ? "" : not_readable(authority);
  if (!why_not.empty())
    return {"display", Status::failed,
            fmt::format("XAUTHORITY '{}' {}, and muvm ends without it", base::printable(authority), why_not),
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
  if (::access("/dev/kvm", R_OK | W_OK) == 0)
    return {"kvm", Status::ok, "/dev/kvm can be read and written", ""};
  if (errno == ENOENT)
    return ending_launches({"kvm", Status::warning,
                            "/dev/kvm does not exist: this kernel offers no virtual machines",
                            "use a kernel with KVM, started at EL2"});
  return ending_launches({"kvm", Status::warning,
                          fmt::format("/dev/kvm cannot be opened: {}", std::strerror(errno)),
                          "add yourself to the group that it belongs to (mostly kvm), and log in again"});
}

// The loader's cache (ldconfig(8)) has the paths as they are, with zero bytes between.
std::optional<std::string> known_to_loader(const std::string& library) {
  const sys::Result<std::string> cache = sys::read_file("/etc/ld.so.cache");
  const std::string end = "/" + library + '\0';
  const std::size_t at = cache ? cache->find(end) : std::string::npos;
  if (at == std::string::npos) return std::nullopt;
  const std::size_t before = cache->rfind('\0', at);
  const std::size_t begin = before == std::string::npos ? 0 : before + 1;
  const std::string path = cache->substr(begin, at + end.size() - 1 - begin);
  return sys::stat_file(path) ? std::optional(path) : std::nullopt;
}

// libkrun loads it by its name. 1.19 wants libkrunfw.so.5.
Check check_kernel_library(const Host& host) {
  const std::vector<std::string> k_folders = {"/usr/lib64", "/usr/lib", "/usr/local/lib64", "/usr/local/lib",
                                              "/usr/lib/aarch64-linux-gnu"};
  const std::string own = sys::variable(host.environment, "LD_LIBRARY_PATH");
  const auto find = [&](const std::string& library) {
    std::vector<std::string> paths;
    for (const std::string_view folder : base::split(own, ':'))
      if (!folder.empty()) paths.push_back(fmt::format("{}/{}", folder, library));
    for (const std::string& folder : k_folders) paths.push_back(folder + "/" + library);
    const std::optional<std::string> found = first_existing(paths);
    return found ? found : known_to_loader(library);
  };
  if (const auto found = find("libkrunfw.so.5")) return {"libkrunfw", Status::ok, *found, ""};
  if (const auto old = find("libkrunfw.so.4"))
    return {"libkrunfw", Status::warning,
            fmt::format(
                "only '{}' is there: libkrun 1.19 loads libkrunfw.so.5, and only an older one may take it",
                base::printable(*old)),
            "update libkrun and libkrunfw together"};
  return ending_launches(
      {"libkrunfw", Status::warning,
       fmt::format("libkrunfw.so.5, the guest's kernel, is in none of {}, and the loader does not know it",
                   base::join(k_folders, ", ")),
       "install libkrunfw"});
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

Check check_passt(const model::LaunchSpec& spec, const Host& host) {
  if (has_option(spec, "--passt-socket"))
    return {"passt", Status::ok, "none is started: --passt-socket names one", ""};
  return check_program_on_path(host, {"passt", "passt", Status::failed, "", "install passt"});
}

// FEX looks for it beside itself, then on PATH.
Check check_server(const Host& host) {
  for (const char* name : {"FEXInterpreter", "FEX"}) {
    const auto fex = on_path(host, name);
    const sys::Result<std::string> real =
        fex ? sys::real_path(*fex) : sys::Result<std::string>(std::string());
    const std::string beside = real ? sys::parent_path(*real) + "/FEXServer" : std::string();
    if (fex && ::access(beside.c_str(), X_OK) == 0) return {"fex-server", Status::ok, beside, ""};
  }
  return ending_launches(
      check_program_on_path(host, {"fex-server", "FEXServer", Status::warning, "", "install all of FEX"}));
}

// It has to be there; whether a link to nothing is enough is not known.
Check check_resolv_conf() {
  constexpr const char* k_path = "/etc/resolv.conf";
  if (sys::stat_file(k_path)) return {"resolv-conf", Status::ok, k_path, ""};
  if (sys::exists(k_path))
    return {"resolv-conf", Status::warning,
            fmt::format("{} is a link to nothing: the guest may not be able to mount its own", k_path),
            "make what it points to, if only as an empty file"};
  return ending_launches({"resolv-conf", Status::warning,
                          fmt::format("{} is not there: the guest cannot mount its own", k_path),
                          "make it, if only as an empty file"});
}

// muvm tells FEX of the stack there; FEX_ROOTFS tells it as well.
Check check_fex_data(const model::LaunchSpec& spec) {
  if (!spec.images.empty())
    return {"fex-data", Status::ok, "not needed: FEX_ROOTFS tells FEX of the stack", ""};
  return check_found(
      "fex-data", first_existing({"/usr/share/fex-emu", "/usr/local/share/fex-emu"}), Status::warning,
      "neither /usr/share/fex-emu nor /usr/local/share/fex-emu exists: FEX is told of no root image",
      "install FEX's data files");
}

Check check_udevd(const model::LaunchSpec& spec) {
  constexpr const char* k_udevd = "/usr/lib/systemd/systemd-udevd";
  for (const auto& [name, value] : spec.environment)
    if (name == "MUVM_UDEVD_PATH")
      return {"udevd", Status::ok, fmt::format("MUVM_UDEVD_PATH is '{}'", base::printable(value)), ""};
  if (::access(k_udevd, X_OK) == 0) return {"udevd", Status::ok, k_udevd, ""};
  return ending_launches({"udevd", Status::warning, fmt::format("{} is not there", k_udevd),
                          "install systemd's udev, or set MUVM_UDEVD_PATH by --env (muvm 0.5)"});
}

Check check_input(const MuvmState& state) {
  if (!state.features) return {"input", Status::skipped, "muvm's options are not known", ""};
  if (state.features->has("--passt-args"))
    return {"input", Status::ok, "not needed: this muvm starts without /dev/input", ""};
  return ending_launches(check_found("input", first_existing({"/dev/input"}), Status::warning,
                                     "/dev/input is not there, which muvm before 0.6 needs", "update muvm"));
}

Check check_guest_page_size() {
  return {"page-size", Status::ok, fmt::format("{} bytes here, 4096 in the guest", ::sysconf(_SC_PAGESIZE)),
          ""};
}

}  // namespace

std::vector<Check> check_muvm_host(const model::LaunchSpec& spec, const Host& host, const MuvmState& state) {
  constexpr ProgramNeed k_guest = {"muvm-guest", "muvm-guest", Status::failed, "", "install all of muvm"};
  constexpr ProgramNeed k_sound = {"sound", "socat", Status::warning, ": no sound in the guest",
                                   "install socat"};
  constexpr ProgramNeed k_shell = {"fexbash", "FEXBash", Status::warning, "",
                                   "install all of FEX, or set script_shell = \"host\""};
  std::vector<Check> out = {
      check_account(host),        check_emulator(host),         check_display(host),
      check_execute_pre(host),    check_fex_config(spec, host), check_kvm(),
      check_kernel_library(host), check_passt(spec, host),      check_program_on_path(host, k_guest),
      check_server(host),         check_fex_data(spec),         check_udevd(spec),
      check_resolv_conf(),        check_input(state),           check_program_on_path(host, k_sound),
  };
  if (spec.script_shell == "fexbash") out.push_back(check_program_on_path(host, k_shell));
  out.push_back(check_memory());
  out.push_back(check_guest_page_size());
  return out;
}

}  // namespace orch::launch
