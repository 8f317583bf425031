#include "model/launch.hpp"

namespace orch::model {

using base::Value;

namespace {

struct TextField {
  const char* key;
  std::string LaunchSpec::*member;
};
constexpr TextField k_texts[] = {
    {"app", &LaunchSpec::app},
    {"launcher", &LaunchSpec::launcher},
    {"gpu_mode", &LaunchSpec::gpu_mode},
    {"gpu_mode_reason", &LaunchSpec::gpu_mode_reason},
    {"appdir", &LaunchSpec::appdir},
    {"entry", &LaunchSpec::entry},
    {"appimage", &LaunchSpec::appimage},
    {"appimage_sha256", &LaunchSpec::appimage_sha256},
    {"directory", &LaunchSpec::directory},
    {"muvm", &LaunchSpec::muvm},
    {"guest_pre_failure", &LaunchSpec::guest_pre_failure},
    {"script_shell", &LaunchSpec::script_shell},
    {"vm", &LaunchSpec::vm},
    {"record", &LaunchSpec::record},
};

struct ListField {
  const char* key;
  std::vector<std::string> LaunchSpec::*member;
};
constexpr ListField k_lists[] = {
    {"args", &LaunchSpec::args},
    {"muvm_args", &LaunchSpec::muvm_args},
    {"guest_pre", &LaunchSpec::guest_pre},
};

}  // namespace

Value to_value(const LaunchSpec& spec) {
  Value out = Value::object();
  for (const TextField& field : k_texts) out.set(field.key, spec.*field.member);
  for (const ListField& field : k_lists) out.set(field.key, Value::strings(spec.*field.member));
  Value images = Value::array();
  for (const LaunchImage& image : spec.images)
    images.push(Value::object({{"path", image.path}, {"role", image.role}, {"digest", image.digest}}));
  out.set("images", std::move(images));
  Value environment = Value::object();
  for (const auto& [name, text] : spec.environment) environment.set(name, text);
  out.set("environment", std::move(environment));
  out.set("plain_input", spec.plain_input);
  out.set("plain_output", spec.plain_output);
  out.set("timeout_ms", spec.timeout_ms);
  out.set("vm_wait_ms", spec.vm_wait_ms);
  out.set("exit_wait_ms", spec.exit_wait_ms);
  return out;
}

std::string entry_of(const LaunchSpec& spec) {
  return spec.entry.empty() ? spec.appdir + "/AppRun" : spec.entry;
}

}  // namespace orch::model
