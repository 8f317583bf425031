// The command line: global options, the table of commands, and how a result becomes an exit status.
#include "cli/command.hpp"
#include "cli/paths.hpp"
#include "cli/usage_error.hpp"
#include "sys/file.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>

namespace orch::cli {

namespace {

// One line per command, in the order of the help.
constexpr std::array k_commands = {add_inspect, add_plan, add_build,  add_run,   add_verify,   add_probe,
                                   add_bench,   add_lock, add_doctor, add_cache, add_evidence, add_step};

constexpr int k_usage_status = 2;

std::string home_of(const Session& session) {
  return variable(session, "HOME", "/");
}

std::string xdg(const Session& session, const char* name, const char* below_home) {
  const std::string set = variable(session, name);
  // The XDG specification: relative paths are to be ignored.
  const std::string base = !set.empty() && set[0] == '/' ? set : home_of(session) + "/" + below_home;
  return sys::absolute_path(base + "/appimage-orch");
}

// Shipped rules and profiles: installed, or beside the build tree that this binary was built in.
std::string find_data(const Session& session) {
  const std::string set = variable(session, "APPIMAGE_ORCH_DATA_DIR");
  if (!set.empty()) return sys::absolute_path(set);
  // PREFIX/bin/appimage-orch wherever PREFIX was moved to.
  const std::string moved = sys::absolute_path(sys::parent_path(session.self) + "/../share/appimage-orch");
  if (sys::exists(moved + "/rules")) return moved;
  return ORCH_DATA_DIR;
}

enum class Colour { automatic, always, never };

bool decide_colour(const Session& session, Colour wanted) {
  if (wanted != Colour::automatic) return wanted == Colour::always;
  const std::string term = variable(session, "TERM");
  return variable(session, "NO_COLOR").empty() && !term.empty() && term != "dumb" &&
         ::isatty(STDERR_FILENO) == 1;
}

struct GlobalArguments {
  bool quiet = false;
  bool verbose = false;
  std::string colour = "auto";
  std::string cache_dir;
};

void add_global_options(CLI::App& app, GlobalArguments& arguments) {
  app.add_flag("-q,--quiet", arguments.quiet, "print errors only");
  app.add_flag("-v,--verbose", arguments.verbose, "say more");
  app.add_option("--color", arguments.colour, "auto, always or never")
      ->type_name("WHEN")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  app.add_option("--cache-dir", arguments.cache_dir,
                 "the store and downloads (default: $XDG_CACHE_HOME/appimage-orch)")
      ->type_name("DIR");
}

void finish_session(Session& session, const GlobalArguments& arguments) {
  if (arguments.quiet) session.verbosity = Verbosity::quiet;
  if (arguments.verbose) session.verbosity = Verbosity::verbose;
  const Colour wanted = arguments.colour == "always"  ? Colour::always
                        : arguments.colour == "never" ? Colour::never
                                                      : Colour::automatic;
  session.colour = decide_colour(session, wanted);
  if (!arguments.cache_dir.empty()) session.cache_dir = sys::absolute_path(arguments.cache_dir);
}

Session make_session() {
  Session session;
  session.environment = sys::current_environment();
  session.self = sys::real_path("/proc/self/exe").value_or("appimage-orch");
  session.cache_dir = xdg(session, "XDG_CACHE_HOME", ".cache");
  session.state_dir = xdg(session, "XDG_STATE_HOME", ".local/state");
  session.config_dir = xdg(session, "XDG_CONFIG_HOME", ".config");
  session.data_dir = find_data(session);
  return session;
}

// Exit statuses of section 3 of the design: 2 for usage and profiles, 1 for the rest; `run` has its own.
int status_of(const base::Error& error) {
  const bool users = error.kind == base::ErrorKind::usage || error.kind == base::ErrorKind::profile;
  return users ? k_usage_status : 1;
}

int report(const Session& session, const base::Error& error) {
  const std::string text =
      base::render(error, session.colour ? "\x1b[1;31m" : "", session.colour ? "\x1b[0m" : "");
  (void)sys::write_all(STDERR_FILENO, text, "standard error");
  return status_of(error);
}

// `run … -- ARGS` and `bench … -- ARGS`: taken off before the parse, which would take the first of them for the missing PROFILE.
int split_application_arguments(int argc, char** argv, Session& session) {
  bool starts_one = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    starts_one = starts_one || word == "run" || word == "bench";
    if (word != "--" || !starts_one) continue;
    session.application_arguments.assign(argv + i + 1, argv + argc);
    return i;
  }
  return argc;
}

int run(int argc, char** argv) {
  Session session = make_session();
  GlobalArguments arguments;
  CLI::App app("Runs x86_64 AppImages on aarch64 Linux through muvm and FEX, from declarative profiles.",
               "appimage-orch");
  app.set_version_flag("-V,--version", std::string("appimage-orch ") + ORCH_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  add_global_options(app, arguments);
  for (const auto add : k_commands) add(app, session);
  try {
    app.parse(split_application_arguments(argc, argv, session), argv);
  } catch (const CLI::ParseError& error) {
    // Help and version are "errors" of status 0 here.
    if (error.get_exit_code() == 0) return app.exit(error);
    finish_session(session, arguments);
    return report(session, usage_error(app, error, std::vector<std::string>(argv + 1, argv + argc)));
  }
  finish_session(session, arguments);
  const Result<int> result = session.action();
  return result ? *result : report(session, result.error());
}

// A file that is opened later must not get the number of a standard stream that was closed: what is printed would land in it.
// For reading only, so that writing fails as it does to one that is closed.
void hold_standard_streams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(fd, F_GETFD) < 0) ::open("/dev/null", O_RDONLY);
}

}  // namespace

}  // namespace orch::cli

int main(int argc, char** argv) {
  orch::cli::hold_standard_streams();
  try {
    return orch::cli::run(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fputs("error: out of memory\n", stderr);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: internal: %s\n  hint: please report this\n", error.what());
  }
  return 1;
}
