#include "launch/native.hpp"

#include "base/text.hpp"
#include "launch/binds.hpp"
#include "launch/environment.hpp"
#include "launch/exec_error.hpp"
#include "launch/extracted_image.hpp"
#include "launch/guest_record.hpp"
#include "launch/guest_script.hpp"
#include "launch/harmful_variables.hpp"
#include "launch/image_check.hpp"
#include "launch/parts.hpp"
#include "sys/file.hpp"
#include "sys/pty.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace orch::launch {

using Status = Check::Status;

using base::ErrorKind;

namespace {

// Where the shell of the prelude says how it failed: the pipe that also tells of a failed set-up.
constexpr int k_prelude_fd = 4;

// CAP_SYS_ADMIN in the effective set of this process.
bool may_mount() {
  constexpr unsigned k_sys_admin = 21;
  const sys::Result<std::string> status = sys::read_file("/proc/self/status");
  if (!status) return false;
  const std::size_t at = status->find("CapEff:\t");
  if (at == std::string::npos) return false;
  const unsigned long long set = std::strtoull(status->c_str() + at + 8, nullptr, 16);
  return ((set >> k_sys_admin) & 1U) != 0;
}

struct Pipe {
  sys::Fd read;
  sys::Fd write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return base::fail(base::errno_error(errno, "make", "a pipe"));
  return Pipe{sys::Fd(ends[0]), sys::Fd(ends[1])};
}

// For the program that this process becomes: dup2 onto itself would leave close-on-exec set.
void hand_on(int fd, int as) {
  if (fd == as)
    ::fcntl(fd, F_SETFD, 0);
  else
    ::dup2(fd, as);
}

void send(int fd, const SetupFailure& failure) {
  (void)sys::write_all(fd, encode(failure), "the launcher's pipe");
}

std::string receive(Pipe& pipe) {
  pipe.write.reset();
  std::string out;
  std::array<char, 4096> piece{};
  ssize_t got = 0;
  while ((got = ::read(pipe.read.get(), piece.data(), piece.size())) > 0)
    out.append(piece.data(), static_cast<std::size_t>(got));
  return out;
}

// Runs a check in a child, so that this process stays as it is.
std::optional<SetupFailure> try_namespace(const ViewPlan& plan) {
  Result<Pipe> pipe = make_pipe();
  if (!pipe) return std::nullopt;
  const pid_t child = ::fork();
  if (child == 0) {
    if (const auto failure = enter_namespace(plan)) send(pipe->write.get(), *failure);
    ::_exit(0);
  }
  if (child < 0) return std::nullopt;
  const std::string answer = receive(*pipe);
  ::waitpid(child, nullptr, 0);
  return decode(answer);
}

base::Error setup_error(const SetupFailure& failure, ViewPlan::Privilege privilege) {
  struct Wording {
    const char* step;
    const char* text;
    const char* hint;
  };
  static constexpr std::array<Wording, 8> k_wordings = {{
      {"open-image", "cannot open the layer", "check that the file exists and that you may read it"},
      {"mount-image", "cannot mount the image",
       "the kernel needs CONFIG_EROFS_FS and the image's compression"},
      {"mount-directory", "cannot show the extracted image", ""},
      {"overlay", "cannot lay the images over each other",
       "the kernel needs CONFIG_OVERLAY_FS (in user namespaces: 5.11)"},
      {"bind",
       "cannot show a path of the host in the merged view:", "check that it exists and that you may read it"},
      {"pivot", "cannot make the merged view the root directory of",
       "in a chroot: enter it by pivot_root instead"},
      {"private", "cannot make mounts private below", "in a chroot: enter it by pivot_root instead"},
      {"directory", "the working directory is not in the merged view:",
       "start it from a directory outside of /usr and /etc"},
  }};
  if (failure.step == "exec")
    return {ErrorKind::not_found, failure.detail, "put it into a layer of the stack"};
  for (const Wording& wording : k_wordings)
    if (failure.step == wording.step)
      return {ErrorKind::io,
              fmt::format("{} '{}': {}", wording.text, base::printable(failure.path),
                          std::strerror(failure.number)),
              wording.hint};
  const bool user = privilege == ViewPlan::Privilege::user_namespace;
  return {ErrorKind::permission,
          fmt::format("cannot make a {} namespace: {}", user ? "user and mount" : "mount",
                      std::strerror(failure.number)),
          user ? user_namespace_remedy() : "run it with CAP_SYS_ADMIN, or as an ordinary user"};
}

// Where mounting did not work although the caller may mount: an old kernel, a container, an unknown
// compression.
bool extraction_may_help(const std::optional<SetupFailure>& failure) {
  return failure && (failure->step == "mount-image" || failure->step == "namespace");
}

}  // namespace

std::vector<std::string> guest_command(const model::LaunchSpec& spec) {
  std::vector<std::string> out;
  if (!spec.guest_pre.empty()) {
    std::vector<std::string> commands;
    for (const std::string& command : spec.guest_pre) commands.push_back(expand_appdir(command, spec.appdir));
    const PreludeFailure failure =
        spec.guest_pre_failure == "stop" ? PreludeFailure::stop : PreludeFailure::warn;
    out = {"/bin/sh", "-c", start_script(commands, failure, k_prelude_fd), "sh"};
  }
  out.push_back(model::entry_of(spec));
  out.insert(out.end(), spec.args.begin(), spec.args.end());
  return out;
}

std::string user_namespace_remedy() {
  const auto says = [](const char* path, std::string_view text) {
    const sys::Result<std::string> content = sys::read_file(path);
    return content && base::trim(*content) == text;
  };
  if (says("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"))
    return "AppArmor forbids user namespaces to ordinary users here (Ubuntu 23.10 and later): run "
           "'sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0', or run as root";
  if (says("/proc/sys/kernel/unprivileged_userns_clone", "0"))
    return "run 'sudo sysctl kernel.unprivileged_userns_clone=1', or run as root";
  if (says("/proc/sys/user/max_user_namespaces", "0"))
    return "run 'sudo sysctl user.max_user_namespaces=10000', or run as root";
  return "a container or chroot may forbid user namespaces: allow them there, or run as root outside of it";
}

Value NativeLauncher::describe(const model::LaunchSpec& spec) {
  Value env = Value::object();
  env.set("PATH", k_guest_path);
  for (const auto& [name, value] : app_environment(spec)) env.set(name, value);
  return Value::object({{"launcher", "native"},
                        {"argv", Value::strings(guest_command(spec))},
                        {"env", std::move(env)},
                        {"images", images_value(spec)}});
}

std::vector<Check> NativeLauncher::check(const model::LaunchSpec& spec) {
  std::vector<Check> out;
  out.push_back({"machine", Status::ok, host_.machine, ""});
  if (host_.machine != "x86_64")
    out.back() = {
        "machine", Status::failed,
        fmt::format("the native launcher runs x86_64 programs, this machine is '{}'", host_.machine),
        "use --launcher muvm"};
  out.push_back(check_images(spec.images, false));
  ViewPlan view;
  view.privilege = may_mount() ? ViewPlan::Privilege::own : ViewPlan::Privilege::user_namespace;
  view.uid = host_.uid;
  view.gid = host_.gid;
  const bool own = view.privilege == ViewPlan::Privilege::own;
  const std::optional<SetupFailure> failure = try_namespace(view);
  out.push_back({"namespaces", Status::ok, own ? "may mount" : "user namespaces", ""});
  if (failure) {
    const base::Error error = setup_error(*failure, view.privilege);
    out.back() = {"namespaces", Status::failed, error.what, error.hint};
  }
  const bool found = sys::find_program("fsck.erofs", k_guest_path).has_value();
  if (own)
    out.push_back({"fsck.erofs", Status::skipped, "images are mounted, not extracted", ""});
  else if (found)
    out.push_back({"fsck.erofs", Status::ok, "images are extracted once per digest", ""});
  else
    out.push_back({"fsck.erofs", Status::failed,
                   "fsck.erofs was not found: it extracts the images where the caller may not mount",
                   "install erofs-utils"});
  out.push_back(check_entry(spec));
  for (Check& check : check_variables(spec, guest_environment(spec), host_)) out.push_back(std::move(check));
  return out;
}

std::vector<Tool> NativeLauncher::tools(const model::LaunchSpec&) {
  if (may_mount()) return {};
  const auto path = sys::find_program("fsck.erofs", k_guest_path);
  Tool tool{"fsck.erofs", path.value_or(""), ""};
  if (path) tool.version = first_line_of(*host_.processes, {*path, "-V"});
  return {tool};
}

sys::Environment NativeLauncher::guest_environment(const model::LaunchSpec& spec) {
  return native_environment(spec, host_.environment);
}

Result<ViewPlan> NativeLauncher::plan(const model::LaunchSpec& spec, Layers layers) {
  ViewPlan out;
  out.privilege = may_mount() ? ViewPlan::Privilege::own : ViewPlan::Privilege::user_namespace;
  out.uid = host_.uid;
  out.gid = host_.gid;
  out.directory = spec.directory;
  out.binds = plan_binds(spec, host_.environment);
  for (const model::LaunchImage& image : spec.images) {
    ORCH_CHECK(check_image(image.path));
    ViewLayer layer{image.path, ViewLayer::Kind::image};
    if (layers == Layers::extracted) {
      ORCH_TRY(layer.path, extracted_image(image, host_));
      layer.kind = ViewLayer::Kind::directory;
    }
    out.layers.push_back(std::move(layer));
  }
  return out;
}

Result<NativeLauncher::Attempt> NativeLauncher::attempt(const model::LaunchSpec& spec, const ViewPlan& view,
                                                        const RunContext& context) {
  ORCH_TRY(Pipe pipe, make_pipe());
  const ProgramCall call(guest_command(spec), native_environment(spec, host_.environment));
  sys::PtyRun run;
  run.child = [&] {
    if (const auto failure = enter_view(view)) {
      send(pipe.write.get(), *failure);
      return 125;
    }
    if (!spec.guest_pre.empty()) hand_on(pipe.write.get(), k_prelude_fd);
    ::execve(call.program(), call.argv(), call.environment());
    const int number = errno;
    const ExecError why = explain_exec(number, call.program());
    send(pipe.write.get(), {"exec", number, call.program(), why.detail});
    return why.status;
  };
  OutputTail tail;
  connect(run, spec, context, tail);
  if (context.began) context.began();
  ORCH_TRY(const sys::PtyEnd end, sys::run_on_pty(run, *context.signals));
  const std::string said = receive(pipe);
  Attempt out{outcome_of(end), decode(said)};
  const bool ended = out.outcome.kind == Outcome::Kind::exited || out.outcome.kind == Outcome::Kind::signaled;
  const GuestRecord prelude = parse_guest_record("started 0\n" + said);
  if (ended && prelude.prelude) out.outcome = prelude_failed(*prelude.prelude, "set-up");
  if (ended && prelude.preparing && !prelude.prelude)
    out.outcome = prelude_replaced(out.outcome.exit_status(), "set-up");
  if (out.failure) {
    const int status = out.failure->step == "exec" ? end.status : 0;
    out.outcome = failed_outcome(status, setup_error(*out.failure, view.privilege));
  }
  add_advice(tail.text(), out.outcome);
  return out;
}

Result<Outcome> NativeLauncher::run(const model::LaunchSpec& spec, const RunContext& context) {
  const Layers layers = may_mount() ? Layers::mounted : Layers::extracted;
  const Result<ViewPlan> view = plan(spec, layers);
  if (!view) return failed_outcome(0, view.error());
  ORCH_TRY(Attempt first, attempt(spec, *view, context));
  if (layers == Layers::extracted || !extraction_may_help(first.failure)) return std::move(first.outcome);
  Result<ViewPlan> other = plan(spec, Layers::extracted);
  if (!other) return failed_outcome(0, other.error());
  if (first.failure->step == "namespace") other->privilege = ViewPlan::Privilege::user_namespace;
  ORCH_TRY(Attempt second, attempt(spec, *other, context));
  second.outcome.warnings.push_back(first.outcome.error->what + "; extracted images were used instead");
  return std::move(second.outcome);
}

}  // namespace orch::launch
