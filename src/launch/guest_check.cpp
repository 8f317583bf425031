#include "launch/guest_check.hpp"

#include "base/text.hpp"
#include "launch/muvm_host_check.hpp"
#include "sys/fd.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

namespace orch::launch {

using Status = Check::Status;

namespace {

// $1: the number of images for muvm, empty for native; $2: where the merged view is. POSIX sh and nothing but what any
// host has: in muvm's guest it is the host's shell. /tmp/.X11-unix is the guest's own there; x11bridge begins at the same time as
// the command, so its socket may come a moment later.
constexpr const char* k_script = R"sh(
say() { echo "orch-check $*"; }
say guest-start ok "the guest runs commands"
root=$2
if [ -n "$1" ]; then
  count=0
  for disk in /run/fex-emu/vd*; do [ -d "$disk" ] && count=$((count + 1)); done
  if [ "$count" != "$1" ]; then say guest-stack failed "$count of $1 images are mounted"
  elif [ ! -d "$root/usr" ]; then say guest-stack failed "their overlay is not at $root"
  else say guest-stack ok "$count images, and their overlay at $root"; fi
fi
loader=$root/lib64/ld-linux-x86-64.so.2
if [ -e "$loader" ]; then say guest-interpreter ok "$loader"
else say guest-interpreter failed "$loader is not there"; fi
program=
for name in usr/bin/env usr/bin/true bin/true usr/bin/sh bin/sh; do
  [ -x "$root/$name" ] && program=$root/$name && break
done
case $program in
  */env) set -- "$program" true ;;
  */sh) set -- "$program" -c : ;;
  *) set -- "$program" ;;
esac
if [ -z "$program" ]; then say guest-program skipped "the stack has no program that is known to end by itself"
elif "$@" </dev/null >/dev/null 2>&1; then say guest-program ok "$program runs"
else say guest-program failed "$program ended with status $?"; fi
if [ -n "$ORCH_HOST_DISPLAY" ]; then
  folder=/tmp/.X11-unix
  tries=0
  while [ "$DISPLAY" = :1 ] && [ -d "$folder" ] && [ ! -S "$folder/X1" ] && [ "$tries" -lt 20 ]; do
    sleep 0.1 2>/dev/null || { sleep 1 && tries=$((tries + 9)); } || break
    tries=$((tries + 1))
  done
  if [ "$DISPLAY" != :1 ]; then say guest-display warning "DISPLAY is '$DISPLAY', not the ':1' of x11bridge"
  elif [ -S "$folder/X1" ]; then say guest-display ok "$DISPLAY, at $folder/X1"
  elif [ -d "$folder" ]; then say guest-x11bridge warning "x11bridge has not made its socket $folder/X1"
  else say guest-x11-folder warning "$folder does not exist, so x11bridge has no place for its socket"; fi
fi
)sh";

std::optional<Status> status_of(std::string_view word) {
  for (const Status status : {Status::ok, Status::warning, Status::failed, Status::skipped})
    if (word == to_string(status)) return status;
  return std::nullopt;
}

std::string remedy_of(std::string_view id, Status status) {
  if (status == Status::ok || status == Status::skipped) return {};
  if (id == "guest-stack")
    return "look at each image with 'inspect': EROFS with 4 KiB blocks, and LZ4 or no compression";
  if (id == "guest-interpreter") return "set [stack] compat = \"auto\", and see what 'verify' says";
  if (id == "guest-program")
    return "see what 'verify' says of the stack; on aarch64 check that FEX is installed as a whole";
  if (id == "guest-display")
    return "take DISPLAY out of app.env and --env, and check that muvm was built with x11bridge";
  if (id == "guest-x11bridge")
    return "look for 'x11bridge thread crashed' in what muvm prints, and check that XAUTHORITY is this "
           "session's";
  if (id == "guest-x11-folder") return k_x11_folder_remedy;
  return "see the messages above";
}

// The first word of `text`, taken away.
std::string_view take_word(std::string_view& text) {
  const std::size_t end = std::min(text.find(' '), text.size());
  const std::string_view out = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return out;
}

}  // namespace

std::vector<Check> parse_guest_checks(std::string_view output) {
  constexpr std::string_view k_mark = "orch-check ";
  std::vector<Check> out;
  for (std::string_view line : base::split(output, '\n')) {
    line = base::trim(line);
    if (line.substr(0, k_mark.size()) != k_mark) continue;
    line.remove_prefix(k_mark.size());
    const std::string id(take_word(line));
    const std::optional<Status> status = status_of(take_word(line));
    if (status) out.push_back({id, *status, base::printable(line), remedy_of(id, *status)});
  }
  return out;
}

Result<std::vector<Check>> check_guest(const model::LaunchSpec& spec, Launcher& launcher,
                                       sys::SignalSession& signals) {
  constexpr std::int64_t k_time_ms = 120'000;
  const bool muvm = spec.launcher == "muvm";
  model::LaunchSpec inside = spec;
  inside.entry = "/bin/sh";
  inside.args = {"-c", k_script, "sh", muvm ? fmt::format("{}", spec.images.size()) : "",
                 muvm ? "/run/fex-emu/rootfs" : ""};
  inside.guest_pre.clear();
  inside.script_shell = "host";
  inside.timeout_ms = k_time_ms;
  if (!inside.record.empty()) inside.record += "-check";  // a guest may remember a file of the same name
  inside.plain_input = inside.plain_output = true;
  const sys::Environment guest = launcher.guest_environment(spec);
  if (muvm && guest.count("DISPLAY") != 0) inside.environment.emplace_back("ORCH_HOST_DISPLAY", "1");
  const sys::Fd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  std::string output;
  RunContext context;
  context.signals = &signals;
  context.capture = [&output](std::string_view bytes) { output += bytes; };
  context.input = context.output = nothing.get();
  ORCH_TRY(const Outcome outcome, launcher.run(inside, context));
  if (!inside.record.empty()) ::unlink(inside.record.c_str());
  std::vector<Check> out = parse_guest_checks(output);
  const auto said = [&out](std::string_view id) {
    return std::any_of(out.begin(), out.end(), [id](const Check& check) { return check.id == id; });
  };
  if (outcome.kind == Outcome::Kind::exited && outcome.status == 0 && said("guest-program")) return out;
  const bool started = said("guest-start");
  std::string detail = outcome.error ? outcome.error->what
                                     : fmt::format("it ended as '{}', status {}", to_string(outcome.kind),
                                                   outcome.exit_status());
  out.push_back({started ? "guest-end" : "guest-start", Status::failed,
                 fmt::format("the look from inside was not finished: {}", detail),
                 outcome.error && !outcome.error->hint.empty()
                     ? outcome.error->hint
                     : "see how the run ends with preflight.guest_check = false"});
  return out;
}

}  // namespace orch::launch
