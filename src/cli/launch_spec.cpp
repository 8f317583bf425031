#include "cli/launch_spec.hpp"

#include "base/text.hpp"
#include "cli/host_configuration.hpp"
#include "evidence/redact.hpp"
#include "hash/digest.hpp"
#include "launch/launcher.hpp"
#include "launch/muvm_probe.hpp"
#include "load/schema.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

namespace orch::cli {

using base::ErrorKind;
using base::fail;
using base::Value;

namespace {

std::vector<std::string> strings_of(const Value* list) {
  std::vector<std::string> out;
  if (list == nullptr || !list->is_array()) return out;
  for (const Value& item : list->as_array())
    if (item.is_string()) out.push_back(item.as_string());
  return out;
}

// "images[3]" is layer 3.
std::optional<std::size_t> layer_index(std::string_view input) {
  const std::size_t open = input.find('[');
  if (open == std::string_view::npos) return std::nullopt;
  return static_cast<std::size_t>(std::strtoul(std::string(input.substr(open + 1)).c_str(), nullptr, 10));
}

// The profile's layer that an input is, of so many images; nullptr if it is a step's. What steps add lies below what
// finishes the stack (graph/instance.cpp), and need not be in the profile.
const Value* layer_of(const Value& profile, std::string_view input, std::size_t images) {
  const Value* layers = profile.find("layers");
  const std::optional<std::size_t> index = layer_index(input);
  if (layers == nullptr || !index) return nullptr;
  const Value::Array& list = layers->as_array();
  std::size_t finish = list.size();
  while (finish > 0 && list[finish - 1].string_or("role", "") == "finish") --finish;
  const std::size_t added = images > list.size() ? images - list.size() : 0;
  if (*index >= finish && *index < finish + added) return nullptr;
  const std::size_t at = *index < finish ? *index : *index - added;
  return at < list.size() ? &list[at] : nullptr;
}

std::size_t count_images(const std::vector<LaunchInput>& inputs) {
  return static_cast<std::size_t>(std::count_if(inputs.begin(), inputs.end(), [](const LaunchInput& input) {
    return input.name.starts_with("images[");
  }));
}

std::string role_of(const Value& profile, std::string_view input, std::size_t images) {
  if (profile.find("layers") == nullptr || !layer_index(input)) return "image";
  const Value* layer = layer_of(profile, input, images);
  return layer == nullptr ? "step" : layer->string_or("role", "image");
}

// What a plan shows in the place of a path that there is not yet.
std::string absent_text(const Value& profile, std::string_view input, std::size_t images) {
  if (input == "tree") return "(the application, not extracted yet)";
  const Value* layer = layer_of(profile, input, images);
  if (layer == nullptr && layer_index(input)) return "(the layer of a step, not built yet)";
  if (layer == nullptr) return fmt::format("({}, not built yet)", base::printable(input));
  return fmt::format("(layer '{}', not built yet)", base::printable(layer->string_or("name", "")));
}

// An image of zero bytes says that the layer is not needed.
bool is_absent_layer(const std::string& path) {
  const auto info = sys::stat_file(path);
  return info && S_ISREG(info->st_mode) && info->st_size == 0;
}

// Folders beside an AppImage that its own runtime would take as home and configuration directory.
void add_portable_folders(model::LaunchSpec& spec) {
  for (const auto& [suffix, name] : {std::pair{".home", "HOME"}, std::pair{".config", "XDG_CONFIG_HOME"}}) {
    const sys::Result<struct stat> info = sys::stat_file(spec.appimage + suffix);
    if (!spec.appimage.empty() && info && S_ISDIR(info->st_mode))
      spec.environment.emplace_back(name, spec.appimage + suffix);
  }
}

}  // namespace

Result<model::LaunchSpec> launch_spec_from(const Value& profile, const std::vector<LaunchInput>& inputs,
                                           const LaunchOverrides& overrides) {
  model::LaunchSpec spec;
  spec.app = profile.string_or("name", "app");
  const Value none = Value::object();
  const Value* launch = profile.find("launch");
  const Value* app = profile.find("app");
  if (launch == nullptr) launch = &none;
  if (app == nullptr) app = &none;
  spec.launcher = launch->string_or("launcher", "native");
  spec.gpu_mode = launch->string_or("gpu_mode", "auto");
  if (spec.gpu_mode == "auto") spec.gpu_mode.clear();
  spec.vm = launch->string_or("vm", "auto");
  spec.muvm = launch->string_or("muvm", "auto");
  if (spec.muvm == "auto") spec.muvm.clear();
  spec.muvm_args = strings_of(launch->find("muvm_args"));
  spec.guest_pre = strings_of(launch->find("guest_pre"));
  spec.guest_pre.insert(spec.guest_pre.end(), overrides.guest_pre.begin(), overrides.guest_pre.end());
  spec.guest_pre_failure = launch->string_or("guest_pre_failure", "warn");
  spec.script_shell = launch->string_or("script_shell", "host");
  spec.vm_wait_ms = load::parse_duration(launch->string_or("vm_wait", "5s")).value_or(0);
  spec.exit_wait_ms = load::parse_duration(launch->string_or("exit_wait", "10s")).value_or(0);
  const std::optional<std::int64_t> timeout = load::parse_duration(launch->string_or("timeout", "0s"));
  spec.timeout_ms = overrides.timeout_ms.value_or(timeout.value_or(0));
  spec.appimage = app->string_or("appimage", "");
  spec.args = strings_of(app->find("args"));
  spec.args.insert(spec.args.end(), overrides.args.begin(), overrides.args.end());
  add_portable_folders(spec);
  if (const Value* environment = app->find("env"); environment != nullptr && environment->is_object())
    for (const Value::Member& member : environment->as_object())
      if (member.value.is_string()) spec.environment.emplace_back(member.key, member.value.as_string());
  spec.environment.insert(spec.environment.end(), overrides.environment.begin(), overrides.environment.end());
  spec.directory = sys::absolute_path(".");
  // Both ends of the user's terminal, or none: sys/pty.hpp has the same rule.
  spec.plain_output = ::isatty(STDOUT_FILENO) != 1;
  spec.plain_input = spec.plain_output || ::isatty(STDIN_FILENO) != 1;
  const std::size_t images = count_images(inputs);
  for (const LaunchInput& input : inputs) {
    if (input.name == "tree") spec.appdir = input.path;
    if (input.name.starts_with("images") && !is_absent_layer(input.path))
      spec.images.push_back({input.path, role_of(profile, input.name, images), input.sha256, input.manifest});
  }
  return spec;
}

Result<model::LaunchSpec> make_launch_spec(Project& project, const model::Profile& profile,
                                           const plan::Plan& plan, const LaunchOverrides& overrides) {
  ORCH_TRY(std::vector<LaunchInput> inputs, project.inputs_of(profile.name, "launch", plan));
  if (inputs.empty())
    return fail(ErrorKind::profile, fmt::format("profile '{}' names no application", profile.name),
                "set app.appimage in it, or give --appimage FILE");
  const std::size_t images = count_images(inputs);
  for (LaunchInput& input : inputs)
    if (input.path.empty()) input.path = absent_text(profile.value, input.name, images);
  ORCH_TRY(model::LaunchSpec spec, launch_spec_from(profile.value, inputs, overrides));
  if (spec.launcher == "muvm") spec.record = "(evidence)/guest.record";
  if (const auto muvm = muvm_beside_path(project.candidates(profile.name))) spec.muvm = *muvm;
  take_automatic_gpu_mode(project.session(), spec);
  if (!spec.appimage.empty()) {
    ORCH_TRY(const hash::Sha256 sha256, project.stat_cache().sha256(spec.appimage));
    spec.appimage_sha256 = sha256.hex();
  }
  return spec;
}

namespace {

// True only where muvm was asked and says so: what there is none of, or does not answer, is told by other checks.
bool lacks_gpu_modes(const Session& session, const model::LaunchSpec& spec) {
  sys::SystemProcessRunner processes;
  const launch::Host host = launch_host(session, processes, spec);
  const std::optional<std::string> muvm = launch::find_muvm(spec.muvm, host.environment);
  if (!muvm || host.uid == 0) return false;
  const Result<launch::MuvmFeatures> features = launch::probe_muvm(*muvm, host);
  return features && !features->gpu_mode;
}

}  // namespace

void take_automatic_gpu_mode(const Session& session, model::LaunchSpec& spec) {
  if (spec.launcher != "muvm" || !spec.gpu_mode.empty()) return;
  probe::GpuChoice choice = choose_gpu_mode(session, spec.app);
  if (choice.mode != "drm" && lacks_gpu_modes(session, spec)) choice = probe::drm_in_place_of(choice);
  if (choice.mode != "drm") spec.gpu_mode = choice.mode;
  spec.gpu_mode_reason = choice.reason;
}

Result<std::string> guest_shell(const Project& project, const model::LaunchSpec& spec) {
  if (spec.launcher != "muvm") return "/bin/sh";
  for (const probe::Candidate& candidate : project.candidates(spec.app))
    if (candidate.what == "FEXBash" && candidate.verdict == probe::Candidate::Verdict::taken)
      return candidate.path;
  return fail(ErrorKind::tool, "FEXBash, the emulated shell of the stack, is not on this host",
              "install all of FEX (fex-emu)");
}

model::LaunchSpec without_secrets(model::LaunchSpec spec) {
  const Value shown = evidence::redact(Value::strings(spec.args));
  for (std::size_t i = 0; i < spec.args.size(); ++i) spec.args[i] = shown.as_array()[i].as_string();
  for (auto& [name, value] : spec.environment)
    value = evidence::is_secret_name(name) ? evidence::k_redacted : evidence::redact_text(std::move(value));
  for (std::string& command : spec.guest_pre) command = evidence::redact_text(std::move(command));
  return spec;
}

launch::Host launch_host(const Session& session, sys::ProcessRunner& processes,
                         const model::LaunchSpec& spec) {
  launch::Host out = launch::this_host(session.environment, session.cache_dir, processes);
  out.configurations = host_configurations(session.environment, spec.environment);
  out.file_digest = [](const std::string& path) -> Result<std::string> {
    ORCH_TRY(const sys::Fd file, sys::open_file(path, O_RDONLY));
    ORCH_TRY(const hash::Digest digest, hash::digest_fd(file.get(), path));
    return digest.hex();
  };
  return out;
}

Result<std::vector<Value>> launch_objects(const Session& session, Project& project, const plan::Plan& plan) {
  std::vector<Value> out;
  for (const model::Profile& profile : project.profiles()) {
    ORCH_TRY(const std::vector<LaunchInput> inputs, project.inputs_of(profile.name, "launch", plan));
    if (inputs.empty()) continue;
    ORCH_TRY(const model::LaunchSpec spec, make_launch_spec(project, profile, plan, {}));
    const launch::Host host = launch_host(session, project.processes(), spec);
    ORCH_TRY(const std::unique_ptr<launch::Launcher> launcher, launch::make_launcher(spec.launcher, host));
    out.push_back(launcher->describe(without_secrets(spec)));
  }
  return out;
}

}  // namespace orch::cli
