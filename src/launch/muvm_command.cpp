#include "launch/muvm_command.hpp"

#include "base/text.hpp"
#include "base/variable_name.hpp"
#include "launch/exec_error.hpp"
#include "launch/guest_script.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <pwd.h>

#include <algorithm>
#include <array>

namespace orch::launch {

namespace {

// muvm takes -h and --help for itself wherever they stand, and nothing that is no UTF-8.
bool muvm_can_carry(const std::string& word) {
  return word != "-h" && word != "--help" && base::is_utf8(word);
}

std::vector<std::string> options_of(const model::LaunchSpec& spec, const MuvmFeatures& features) {
  std::vector<std::string> out;
  if (features.interactive) out = {"--interactive", "--tty"};
  if (features.emulator) out.emplace_back("--emu=fex");
  const bool mode = !spec.gpu_mode.empty() && spec.gpu_mode != "auto";
  if (mode && features.gpu_mode) out.push_back("--gpu-mode=" + spec.gpu_mode);
  out.insert(out.end(), spec.muvm_args.begin(), spec.muvm_args.end());
  for (const model::LaunchImage& image : spec.images) {
    out.emplace_back("-f");
    out.push_back(image.path);
  }
  return out;
}

std::vector<std::string> prelude_of(const model::LaunchSpec& spec) {
  std::vector<std::string> out;
  for (const std::string& command : spec.guest_pre) out.push_back(expand_appdir(command, spec.appdir));
  return out;
}

// As muvm tells (env.rs).
bool is_apple_machine() {
  const sys::Result<std::string> names = sys::read_file("/proc/device-tree/compatible");
  return names && names->find("apple,arm-platform") != std::string::npos;
}

std::string home_of(uid_t uid) {
  const passwd* entry = ::getpwuid(uid);
  return entry != nullptr ? entry->pw_dir : "";
}

// What a muvm that starts a VM sets over everything else, -e included. `runtime_dir`: the guest's; empty: not known.
void set_at_start(const model::LaunchSpec& spec, const sys::Environment& host, const std::string& runtime_dir,
                  sys::Environment& out) {
  const auto put = [&out](const char* name, const std::string& value) {
    out.erase(name);
    if (!value.empty()) out[name] = value;
  };
  put("XDG_RUNTIME_DIR", runtime_dir);
  if (spec.gpu_mode == "venus") put("MESA_LOADER_DRIVER_OVERRIDE", "zink");
  // Empty ones are kept from muvm (muvm.cpp).
  const std::string authority = sys::variable(host, "XAUTHORITY");
  if (!authority.empty()) put("XAUTHORITY", authority);
  if (sys::variable(host, "DISPLAY").empty()) return;
  put("DISPLAY", ":1");
  put("XSHMFENCE_NO_MEMFD", "1");
  if (!authority.empty()) put("XAUTHORITY", runtime_dir.empty() ? "" : runtime_dir + "/xauth");
}

}  // namespace

Pairs muvm_environment(const model::LaunchSpec& spec, const sys::Environment& host) {
  Pairs out;
  if (!spec.images.empty()) out.emplace_back("FEX_ROOTFS", k_guest_rootfs);
  const auto term = host.find("TERM");
  out.emplace_back("TERM", term == host.end() || term->second.empty() ? "xterm-256color" : term->second);
  if (host.count("LD_LIBRARY_PATH") != 0) out.emplace_back("LD_LIBRARY_PATH", "");
  for (auto& [name, value] : app_environment(spec)) {
    const auto same = [&wanted = name](const auto& pair) { return pair.first == wanted; };
    out.erase(std::remove_if(out.begin(), out.end(), same), out.end());
    out.emplace_back(name, std::move(value));
  }
  return out;
}

sys::Environment muvm_guest_environment(const model::LaunchSpec& spec, const sys::Environment& host,
                                        uid_t uid, const MuvmFeatures& features, bool reused) {
  const std::string home = home_of(uid);
  // Handed on by muvm (env.rs); nothing else of the host's environment is.
  constexpr std::array<const char*, 20> k_handed_on = {"LANG",
                                                       "LC_ADDRESS",
                                                       "LC_ALL",
                                                       "LC_COLLATE",
                                                       "LC_CTYPE",
                                                       "LC_IDENTIFICATION",
                                                       "LC_MEASUREMENT",
                                                       "LC_MESSAGES",
                                                       "LC_MONETARY",
                                                       "LC_NAME",
                                                       "LC_NUMERIC",
                                                       "LC_PAPER",
                                                       "LC_TELEPHONE",
                                                       "LC_TIME",
                                                       "LD_LIBRARY_PATH",
                                                       "LIBGL_DRIVERS_PATH",
                                                       "MESA_LOADER_DRIVER_OVERRIDE",
                                                       "PATH",
                                                       "RUST_LOG",
                                                       "XMODIFIERS"};
  sys::Environment out;
  for (const char* name : k_handed_on)
    if (const auto found = host.find(name); found != host.end()) out[name] = found->second;
  out.erase("LIBGL_DRIVERS_PATH");  // muvm.cpp keeps it from muvm
  if (is_apple_machine() && out.count("MESA_LOADER_DRIVER_OVERRIDE") == 0)
    out["MESA_LOADER_DRIVER_OVERRIDE"] = "asahi";
  if (out.count("LANG") + out.count("LC_CTYPE") + out.count("LC_ALL") == 0) out["LANG"] = "C.UTF-8";
  out["GTK_IM_MODULE"] = out["QT_IM_MODULE"] = "xim";
  if (const std::string firefox = home + "/.mozilla/firefox"; !home.empty() && sys::exists(firefox))
    out["XRE_PROFILE_PATH"] = firefox + "/muvm-profile";
  if (!home.empty()) out["HOME"] = home;  // what is given is exported over it
  const std::string runtime_dir = features.guest_runtime_dir() ? fmt::format("/run/user/{}", uid) : "";
  if (!runtime_dir.empty()) out["XDG_RUNTIME_DIR"] = runtime_dir;
  for (const auto& [name, value] : muvm_environment(spec, host)) out[name] = value;
  if (!reused) set_at_start(spec, host, runtime_dir, out);
  return out;
}

std::vector<std::string> muvm_program(const model::LaunchSpec& spec) {
  const std::string entry = model::entry_of(spec);
  if (spec.script_shell == "fexbash" && is_script(entry)) return {"FEXBash", entry};
  return {entry};
}

std::vector<std::string> muvm_command(const model::LaunchSpec& spec, const std::string& path,
                                      const MuvmFeatures& features, const sys::Environment& host) {
  std::vector<std::string> out = {path};
  const std::vector<std::string> options = options_of(spec, features);
  out.insert(out.end(), options.begin(), options.end());
  GuestCommand guest;
  for (const auto& [name, value] : muvm_environment(spec, host)) {
    if (name != "HOME" && base::is_utf8(name + value)) {
      out.emplace_back("-e");
      out.push_back(fmt::format("{}={}", name, value));
    } else if (base::is_variable_name(
                   name)) {  // a profile and --env have no other; it would be text of the script
      guest.exports += fmt::format("export {}={}\n", name, shell_word(value));
    }
  }
  guest.directory = spec.directory.empty() ? "/" : spec.directory;
  guest.words = muvm_program(spec);
  guest.words.insert(guest.words.end(), spec.args.begin(), spec.args.end());
  guest.prelude = prelude_of(spec);
  if (spec.guest_pre_failure == "stop") guest.prelude_failure = PreludeFailure::stop;
  guest.record = spec.record;
  guest.terminal = spec.plain_input && spec.plain_output ? "-echo -opost"
                   : spec.plain_input                    ? "-echo"
                   : spec.plain_output                   ? "-opost"
                                                         : "";
  guest.plain = std::all_of(guest.words.begin(), guest.words.end(), muvm_can_carry) &&
                muvm_can_carry(guest.directory) && muvm_can_carry(guest.record);
  const std::vector<std::string> script = guest_script(guest);
  out.insert(out.end(), {"--", k_guest_shell});
  out.insert(out.end(), script.begin(), script.end());
  return out;
}

}  // namespace orch::launch
