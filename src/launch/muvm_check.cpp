#include "launch/muvm_check.hpp"

#include "base/text.hpp"
#include "launch/image_check.hpp"
#include "launch/muvm_arguments.hpp"
#include "launch/muvm_host_check.hpp"
#include "launch/parts.hpp"
#include "launch/vm_entry.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace orch::launch {

using Status = Check::Status;

namespace {

Check check_user(const Host& host) {
  if (host.uid == 0)
    return {"user", Status::failed, "muvm does not run as root", "run it as an ordinary user"};
  return {"user", Status::ok, fmt::format("uid {}", host.uid), ""};
}

Check check_runtime_dir(const model::LaunchSpec& spec, const Host& host) {
  const std::string path = sys::variable(host.environment, "XDG_RUNTIME_DIR");
  if (path.empty())
    return {"runtime-dir", Status::failed, "XDG_RUNTIME_DIR is not set",
            "log in through a session manager, or set it to /run/user/UID"};
  if (::access(path.c_str(), W_OK) != 0)
    return {"runtime-dir", Status::failed,
            fmt::format("XDG_RUNTIME_DIR '{}' is not writable", base::printable(path)),
            "point it to a directory of yours"};
  // A run's own directory in it has "/aorch-XXXXXX" more.
  const std::size_t own = spec.vm == "private" ? 13 : 0;
  if (path.size() + own > k_longest_runtime_dir)
    return {"runtime-dir", Status::failed,
            fmt::format("XDG_RUNTIME_DIR '{}' is too long: muvm's sockets in it could not have a name",
                        base::printable(path)),
            "point it to a shorter path, as /run/user/UID"};
  struct stat entry {};
  if (::stat(path.c_str(), &entry) == 0 && (entry.st_uid != host.uid || (entry.st_mode & 0077) != 0))
    return {
        "runtime-dir", Status::warning,
        fmt::format("XDG_RUNTIME_DIR '{}' is of uid {} with mode {:04o}: it is to be yours alone (mode 0700)",
                    base::printable(path), entry.st_uid, entry.st_mode & 07777),
        "chmod 0700 it, or point XDG_RUNTIME_DIR to a directory of yours"};
  struct statfs info {};
  const bool known = ::statfs(path.c_str(), &info) == 0;
  constexpr auto k_btrfs = 0x9123683E;
  constexpr auto k_overlayfs = 0x794C7630;
  if (known && (info.f_type == k_btrfs || info.f_type == k_overlayfs))
    return {"runtime-dir", Status::warning,
            fmt::format("'{}' is on a file system whose locks cannot be told from outside: a VM that runs "
                        "may not be seen",
                        base::printable(path)),
            "point XDG_RUNTIME_DIR to a tmpfs, as /run/user/UID"};
  return {"runtime-dir", Status::ok, path, ""};
}

Check check_program(const model::LaunchSpec& spec, const MuvmState& state) {
  if (!state.path && !spec.muvm.empty())
    return {"muvm", Status::failed,
            fmt::format("'{}', which is to be muvm, is not a program that can be run",
                        base::printable(spec.muvm)),
            "mend --muvm, launch.muvm or $APPIMAGE_ORCH_MUVM, or leave it out to use the one on PATH", true};
  if (!state.path)
    return {"muvm", Status::failed, "muvm was not found", "install muvm, or name it with --muvm", true};
  if (!state.features)
    return {"muvm", Status::failed, base::one_line(state.features.error()), state.features.error().hint};
  if (!state.features->ordered_images)
    return {"muvm", Status::failed, "this muvm is older than 0.4.0: it stacks images in a random order",
            "update muvm"};
  return {"muvm", Status::ok, fmt::format("{}, {} or later", *state.path, state.features->at_least), ""};
}

Check check_stack(const model::LaunchSpec& spec) {
  constexpr std::size_t k_most_images =
      26;  // the 27th disk, vdaa, would sort between the first and the second
  if (spec.images.size() > k_most_images)
    return {"images", Status::failed,
            fmt::format("the stack has {} images, muvm keeps the order of at most {}", spec.images.size(),
                        k_most_images),
            "merge some of the deps overlays"};
  for (const model::LaunchImage& image : spec.images)
    if (!base::is_utf8(image.path))
      return {"images", Status::failed,
              fmt::format("the path of the image '{}' is not UTF-8, and muvm takes nothing else",
                          base::printable(image.path)),
              "rename it, or the folder that it is in"};
  return check_images(spec.images, true);
}

Check check_paths(const model::LaunchSpec& spec) {
  for (const std::string& path : {spec.appdir, spec.appimage, spec.directory}) {
    if (path.empty()) continue;
    const sys::Result<std::string> real = sys::real_path(path);
    if (!is_hidden_in_guest(real ? *real : path)) continue;
    return {"paths", Status::failed,
            fmt::format("'{}' is not visible in the VM, which has a /run and /dev of its own",
                        base::printable(path)),
            "move it, or work, below your home directory"};
  }
  return {"paths", Status::ok, "AppDir, AppImage and working directory are visible in the VM", ""};
}

Check check_vm(const model::LaunchSpec& spec, const Host& host, const MuvmState& state) {
  using Kind = VmChoice::Kind;
  const std::string& detail = state.vm.detail;
  if (spec.vm == "private")
    return {"vm", Status::ok, "one of its own, in a runtime directory of its own", ""};
  if (sys::variable(host.environment, "XDG_RUNTIME_DIR").empty())
    return {"vm", Status::skipped, "XDG_RUNTIME_DIR is not set: the lock of a VM that runs would be there",
            ""};
  switch (state.vm.kind) {
    case Kind::start:
      return {"vm", Status::ok, detail, ""};
    case Kind::join:
      if (spec.vm != "shared") return {"vm", Status::ok, detail, ""};
      return {"vm", Status::warning, detail, "end it for a run of its own"};
    case Kind::wait:
      if (spec.vm_wait_ms > 0)
        return {"vm", Status::warning, detail, "it is waited for as long as [launch] vm_wait says"};
      break;
    case Kind::refuse:
      break;
  }
  return {"vm", Status::failed, detail, state.vm.remedy(), true};
}

// Nobody asked for it, so that a muvm without what the host would have is no reason to stop.
Check check_chosen_gpu_mode(const model::LaunchSpec& spec) {
  const std::string mode = spec.gpu_mode.empty() ? "drm" : spec.gpu_mode;
  const std::string detail = fmt::format("{}, chosen: {}", base::printable(mode), spec.gpu_mode_reason);
  if (!spec.gpu_mode_reason.starts_with(k_drm_alone)) return {"gpu-mode", Status::ok, detail, ""};
  return {"gpu-mode", Status::warning, detail, "update muvm to 0.5.0 or later"};
}

Check check_gpu_mode(const model::LaunchSpec& spec, const MuvmState& state) {
  if (!spec.gpu_mode_reason.empty()) return check_chosen_gpu_mode(spec);
  const bool wanted = !spec.gpu_mode.empty() && spec.gpu_mode != "auto";
  if (!wanted) return {"gpu-mode", Status::ok, "muvm's own", ""};
  if (!state.features) return {"gpu-mode", Status::skipped, "muvm's options are not known", ""};
  if (state.features->gpu_mode) return {"gpu-mode", Status::ok, spec.gpu_mode, ""};
  if (spec.gpu_mode == "drm") return {"gpu-mode", Status::ok, "drm, the only one of this muvm", ""};
  return {"gpu-mode", Status::failed,
          fmt::format("this muvm has no --gpu-mode, so no '{}'", base::printable(spec.gpu_mode)),
          "update muvm to 0.5.0 or later, or use --gpu-mode drm"};
}

// muvm's own overlays have files in common, of which the later wins: muvm's sources, bin/muvm.rs, name them in this order.
std::optional<Check> check_overlay_order(const model::LaunchSpec& spec) {
  constexpr std::array k_order = {"mesa-i386.erofs", "mesa-x86_64.erofs"};
  const auto place_of = [&spec](const char* name) {
    return std::find_if(spec.images.begin(), spec.images.end(), [name](const model::LaunchImage& image) {
      return sys::file_name(image.path) == name;
    });
  };
  const auto first = place_of(k_order[0]);
  const auto second = place_of(k_order[1]);
  if (first == spec.images.end() || second == spec.images.end()) return std::nullopt;
  if (first < second) return Check{"overlay-order", Status::ok, "as muvm stacks its overlays", ""};
  return Check{
      "overlay-order", Status::warning,
      fmt::format("'{}' lies below '{}', and muvm stacks them the other way round", k_order[1], k_order[0]),
      "write gpu = [\"auto\"], or name mesa-i386 first"};
}

Check check_arguments(const model::LaunchSpec& spec, const MuvmState& state) {
  if (!state.features) return {"muvm-args", Status::skipped, "muvm's options are not known", ""};
  return check_muvm_arguments(spec.muvm_args, *state.features, spec.directory);
}

}  // namespace

bool is_hidden_in_guest(const std::string& path) {
  constexpr std::array k_hidden = {"/run", "/var/run", "/dev", "/proc", "/sys", "/tmp/.X11-unix"};
  return std::any_of(k_hidden.begin(), k_hidden.end(),
                     [&path](const char* folder) { return sys::path_within(path, folder).has_value(); });
}

std::vector<Check> check_muvm(const model::LaunchSpec& spec, const Host& host, const MuvmState& state) {
  std::vector<Check> out = {check_user(host),
                            check_runtime_dir(spec, host),
                            check_program(spec, state),
                            check_stack(spec),
                            check_paths(spec),
                            check_vm(spec, host, state),
                            check_gpu_mode(spec, state),
                            check_arguments(spec, state),
                            check_entry(spec)};
  if (std::optional<Check> order = check_overlay_order(spec)) out.push_back(*std::move(order));
  for (Check& check : check_muvm_host(spec, host, state)) out.push_back(std::move(check));
  return out;
}

}  // namespace orch::launch
