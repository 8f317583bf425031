// appimage-orch doctor: what of this host stands in the way.
#include "base/text.hpp"
#include "cli/command.hpp"
#include "cli/fields.hpp"
#include "cli/host_discovery.hpp"
#include "cli/launch_spec.hpp"
#include "cli/options.hpp"
#include "format/json.hpp"
#include "probe/doctor.hpp"
#include "sys/process.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <unistd.h>

#include <map>
#include <memory>

namespace orch::cli {

namespace {

using base::printable;
using launch::Check;
using Status = launch::Check::Status;

struct DoctorArguments {
  std::string launcher = "auto";
  OutputFormat format = OutputFormat::text;
};

constexpr std::size_t k_status_width = 8;  // "skipped", and a space
constexpr std::size_t k_id_width = 17;

const char* colour_of(Status status) {
  switch (status) {
    case Status::ok:
      return "\x1b[32m";
    case Status::warning:
      return "\x1b[33m";
    case Status::failed:
      return "\x1b[1;31m";
    case Status::skipped:
      break;
  }
  return "\x1b[2m";
}

// The word of the status is what colour would say, so that nothing is lost without it.
std::string check_text(const Check& check, bool colour) {
  std::string out;
  const std::string word = fmt::format("{:<{}}", launch::to_string(check.status), k_status_width);
  wrapped(out, word + fmt::format("{:<{}} ", check.id, k_id_width), printable(check.detail));
  if (!check.remedy.empty())
    wrapped(out, std::string(k_status_width, ' ') + fmt::format("{:>{}} ", "->", k_id_width),
            printable(check.remedy));
  if (colour) out.replace(0, word.size(), std::string(colour_of(check.status)) + word + "\x1b[0m");
  return out;
}

std::string summary(const std::vector<Check>& checks) {
  std::map<Status, std::size_t> count;
  for (const Check& check : checks) ++count[check.status];
  return fmt::format("{} ok, {}, {} failed, {} skipped\n", count[Status::ok],
                     base::quantity(count[Status::warning], "warning", "warnings"), count[Status::failed],
                     count[Status::skipped]);
}

std::string discovery_text(const std::vector<probe::Candidate>& candidates) {
  std::string out;
  for (const probe::Candidate& candidate : candidates) {
    wrapped(out, fmt::format("  {:<10} {:<12} ", candidate.what, probe::to_string(candidate.verdict)),
            fmt::format("{} ({}): {}", printable(candidate.path), candidate.found_by,
                        printable(candidate.reason)));
  }
  return out.empty() ? out : "\nlooked at\n" + out;
}

std::string text_of(const probe::Diagnosis& diagnosis, bool colour, bool verbose) {
  std::string out;
  for (const Check& check : diagnosis.checks) out += check_text(check, colour);
  if (verbose) out += discovery_text(diagnosis.candidates);
  return out + "\n" + summary(diagnosis.checks);
}

Result<int> doctor(const Session& session, const DoctorArguments& arguments) {
  sys::SystemProcessRunner processes;
  launch::Host host = launch_host(session, processes, {});
  // Something is looked at on every machine: a host that can start nothing is told so by its checks.
  const Result<std::string> chosen = launch::choose_launcher(arguments.launcher, host.machine);
  model::LaunchSpec launch;
  launch.launcher = chosen ? *chosen : "native";
  launch.vm = "auto";
  std::vector<probe::Candidate> candidates;
  if (launch.launcher == "muvm") candidates = probe::discover_all({}, {sys::HostTree(), host.environment});
  // As a run takes it: what is on PATH is not the only place.
  if (const auto muvm = muvm_beside_path(candidates)) launch.muvm = *muvm;
  take_automatic_gpu_mode(session, launch);
  ORCH_TRY(const probe::Diagnosis diagnosis, probe::diagnose(launch, host, std::move(candidates)));
  if (arguments.format == OutputFormat::json)
    ORCH_CHECK(print_out(format::to_json(probe::to_value(diagnosis))));
  else
    ORCH_CHECK(print_out(text_of(diagnosis, session.colour && ::isatty(STDOUT_FILENO) == 1,
                                 session.verbosity == Verbosity::verbose)));
  return diagnosis.ok() ? 0 : 1;
}

}  // namespace

void add_doctor(CLI::App& app, Session& session) {
  const auto arguments = std::make_shared<DoctorArguments>();
  CLI::App* command = app.add_subcommand(
      "doctor", "look at this host: what keeps applications from being started, and what to do");
  command->footer(
      "The exit status is 0 if no check failed, else 1. With --verbose also where images and programs "
      "were looked for.");
  command->add_option("--launcher", arguments->launcher, "whose preconditions: auto, muvm or native")
      ->type_name("NAME")
      ->check(CLI::IsMember({"auto", "muvm", "native"}));
  add_format(*command, arguments->format);
  command->callback([&session, arguments] {
    session.action = [&session, arguments] { return doctor(session, *arguments); };
  });
}

}  // namespace orch::cli
