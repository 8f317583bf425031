#include "launch/muvm_probe.hpp"

#include "base/text.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <fcntl.h>

#include <array>
#include <cctype>

namespace orch::launch {

namespace {

struct Mark {
  const char* option;
  const char* release;
};
// Oldest first; the last one that is found names the release.
constexpr std::array<Mark, 7> k_marks = {{{"--vram", "0.1.1"},
                                          {"--interactive", "0.1.4"},
                                          {"--tty", "0.2.0"},
                                          {"--emu", "0.3.0"},
                                          {"--execute-pre", "0.4.0"},
                                          {"--gpu-mode", "0.5.0"},
                                          {"--passt-args", "0.6.0"}}};

bool continues_name(char c) {
  return c == '-' || std::isalnum(static_cast<unsigned char>(c)) != 0;
}

}  // namespace

// The usage line of the help may break anywhere but inside a name, so only the bare name is looked for.
bool MuvmFeatures::has(std::string_view option) const {
  for (std::size_t at = help.find(option); at != std::string::npos; at = help.find(option, at + 1)) {
    const std::size_t end = at + option.size();
    const bool begins = at == 0 || !continues_name(help[at - 1]);
    if (begins && (end == help.size() || !continues_name(help[end]))) return true;
  }
  return false;
}

MuvmFeatures muvm_features(std::string help) {
  MuvmFeatures out;
  out.help = std::move(help);
  for (const Mark& mark : k_marks)
    if (out.has(mark.option)) out.at_least = mark.release;
  out.emulator = out.has("--emu");
  out.ordered_images = out.has("--execute-pre");
  out.gpu_mode = out.has("--gpu-mode");
  out.status = out.gpu_mode;
  out.interactive = out.has("--interactive") && out.has("--tty");
  return out;
}

MuvmFeatures newest_muvm() {
  return muvm_features(
      "--cpu-list --env --mem --vram --fex-image --passt-socket --passt-args --merged-rootfs --interactive "
      "--tty "
      "--privileged --gpu-mode --publish --emu --execute-pre --user-execute-pre");
}

std::optional<std::string> find_muvm(const std::string& wanted, const sys::Environment& environment) {
  const auto path = environment.find("PATH");
  const bool any = wanted.empty() || wanted == "auto";
  return sys::find_program(any ? "muvm" : wanted, path == environment.end() ? "" : path->second);
}

namespace {

Result<std::string> ask_for_help(const std::string& path, const Host& host) {
  sys::Command command;
  command.argv = {path, "--help"};
  command.environment = host.environment;
  command.timeout = std::chrono::seconds(10);
  ORCH_TRY(sys::Exit exit, host.processes->run(command));
  if (exit.ok() && exit.output.find("Usage") != std::string::npos) return std::move(exit.output);
  return base::fail(base::ErrorKind::tool,
                    fmt::format("'{} --help' {} and printed no usage: {}", base::printable(path),
                                exit.describe(), base::printable(base::trim(exit.errors + exit.output))),
                    "run it by hand; its libraries (libkrun) may be missing");
}

}  // namespace

Result<MuvmFeatures> probe_muvm(const std::string& path, const Host& host) {
  std::string remembered;
  // A script around muvm says nothing of the muvm that it starts.
  if (host.file_digest && sys::begins_with(path, sys::k_elf_magic))
    if (const Result<std::string> digest = host.file_digest(path))
      remembered = host.cache_dir + "/muvm/" + *digest + ".help";
  if (!remembered.empty())
    if (sys::Result<std::string> help = sys::read_file(remembered)) return muvm_features(*std::move(help));
  ORCH_TRY(std::string help, ask_for_help(path, host));
  // That it cannot be remembered costs some milliseconds next time.
  if (!remembered.empty() && sys::make_dirs(host.cache_dir + "/muvm"))
    (void)sys::write_atomic(remembered, help);
  return muvm_features(std::move(help));
}

}  // namespace orch::launch
