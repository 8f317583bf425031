// Hands argument vectors to a launcher, for integration tests:
//   launch-driver native IMAGES APPDIR DIRECTORY  runs APPDIR/AppRun once for each vector; prints what it wrote
//   launch-driver muvm   IMAGES APPDIR DIRECTORY  prints muvm's argument vector for each
// IMAGES are the layers, the bottom first, with ':' between them.
// Vectors come on standard input: a line with the number of words, then the words, each with a NUL at its end. Answers
// go to standard output: for native a line with the number of bytes, then the bytes; for muvm as the vectors came.
#include "base/text.hpp"
#include "launch/launcher.hpp"
#include "launch/muvm_command.hpp"
#include "launch/muvm_probe.hpp"
#include "sys/process.hpp"
#include "sys/signals.hpp"

#include <fcntl.h>

#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

namespace {

namespace launch = orch::launch;
using Words = std::vector<std::string>;

bool read_vector(Words& out) {
  std::string line;
  if (!std::getline(std::cin, line)) return false;
  out.assign(std::stoul(line), {});
  for (std::string& word : out) std::getline(std::cin, word, '\0');
  return true;
}

void print_vector(const Words& words) {
  std::cout << words.size() << '\n';
  for (const std::string& word : words) std::cout << word << '\0';
}

int run_native(orch::model::LaunchSpec spec, const launch::Host& host) {
  auto launcher = launch::make_launcher("native", host);
  if (!launcher) return 1;
  launch::RunContext context;
  context.input = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  context.output = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  while (read_vector(spec.args)) {
    auto signals = orch::sys::SignalSession::begin();
    if (!signals) return 1;
    std::string seen;
    context.signals = &*signals;
    context.capture = [&seen](std::string_view bytes) { seen += bytes; };
    const auto outcome = (*launcher)->run(spec, context);
    if (!outcome || outcome->exit_status() != 0) {
      std::cerr << (outcome ? outcome->error ? outcome->error->what : "status" : outcome.error().what) << '\n'
                << seen;
      return 1;
    }
    std::cout << seen.size() << '\n' << seen;
  }
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 5) return 2;
  orch::model::LaunchSpec spec;
  for (const std::string_view image : orch::base::split(arguments[2], ':'))
    spec.images.push_back({std::string(image), "base", ""});
  spec.appdir = arguments[3];
  spec.directory = arguments[4];
  orch::sys::SystemProcessRunner processes;
  const launch::Host host = launch::this_host(orch::sys::current_environment(), spec.directory, processes);
  if (std::string(arguments[1]) == "native") return run_native(spec, host);
  spec.record = spec.directory + "/guest.record";
  while (read_vector(spec.args))
    print_vector(launch::muvm_command(spec, "/usr/bin/muvm", launch::newest_muvm(), host.environment));
  return 0;
}
