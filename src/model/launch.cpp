#include "model/launch.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

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
    {"appdir", &LaunchSpec::appdir},
    {"entry", &LaunchSpec::entry},
    {"appimage", &LaunchSpec::appimage},
    {"appimage_sha256", &LaunchSpec::appimage_sha256},
    {"directory", &LaunchSpec::directory},
    {"muvm", &LaunchSpec::muvm},
    {"vm", &LaunchSpec::vm},
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

base::Result<> read_list(const Value& list, std::vector<std::string>& out) {
  if (!list.is_array()) return base::fail(base::ErrorKind::corrupt, "expected an array of strings");
  for (const Value& item : list.as_array()) {
    if (!item.is_string()) return base::fail(base::ErrorKind::corrupt, "expected an array of strings");
    out.push_back(item.as_string());
  }
  return {};
}

base::Result<> read_fields(const Value& value, LaunchSpec& out) {
  for (const TextField& field : k_texts) out.*field.member = value.string_or(field.key, "");
  for (const ListField& field : k_lists)
    if (const Value* list = value.find(field.key)) ORCH_CHECK(read_list(*list, out.*field.member));
  if (const Value* images = value.find("images"); images != nullptr && images->is_array())
    for (const Value& image : images->as_array())
      out.images.push_back(
          {image.string_or("path", ""), image.string_or("role", "image"), image.string_or("digest", "")});
  if (const Value* environment = value.find("environment");
      environment != nullptr && environment->is_object())
    for (const Value::Member& member : environment->as_object()) {
      if (!member.value.is_string())
        return base::fail(base::ErrorKind::corrupt, "expected strings in 'environment'");
      out.environment.emplace_back(member.key, member.value.as_string());
    }
  out.timeout_ms = value.int_or("timeout_ms", 0);
  return {};
}

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
  out.set("timeout_ms", spec.timeout_ms);
  return out;
}

base::Result<LaunchSpec> launch_from_value(const Value& value, std::string_view name) {
  LaunchSpec out;
  if (!value.is_object())
    return base::fail(base::ErrorKind::corrupt,
                      fmt::format("'{}' is no launch: expected a table", base::printable(name)));
  base::Result<> read = read_fields(value, out);
  if (!read)
    return base::fail(
        std::move(read.error()).while_doing(fmt::format("reading '{}'", base::printable(name))));
  return out;
}

std::string entry_of(const LaunchSpec& spec) {
  return spec.entry.empty() ? spec.appdir + "/AppRun" : spec.entry;
}

}  // namespace orch::model
