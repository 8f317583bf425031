#include "evidence/report.hpp"

namespace orch::evidence {

using base::Value;

namespace {

Value images_of(const RunReport& report) {
  Value out = Value::array();
  for (const model::LaunchImage& image : report.images)
    out.push(
        Value::object({{"path", image.path}, {"role", image.role}, {"digest", base::or_null(image.digest)}}));
  return out;
}

Value phases_of(const RunReport& report) {
  Value out = Value::array();
  for (const auto& [name, seconds] : report.phases)
    out.push(Value::object({{"name", name}, {"seconds", seconds}}));
  return out;
}

Value error_of(const RunReport& report) {
  if (!report.error) return {};
  return Value::object(
      {{"what", base::one_line(*report.error)},
       {"where", base::or_null(report.error->where ? report.error->where->location() : std::string())},
       {"hint", base::or_null(report.error->hint)}});
}

}  // namespace

Value to_value(const RunReport& report) {
  return Value::object({
      {"schema", "appimage-orch/run-report/1"},
      {"outcome", report.outcome},
      {"status", base::or_null(report.status)},
      {"signal", base::or_null(report.signal)},
      {"determined_by", base::or_null(report.determined_by)},
      {"launcher", base::or_null(report.launcher)},
      {"argv", Value::strings(report.argv)},
      {"images", images_of(report)},
      {"vm_reused", report.vm_reused},
      {"forced", report.forced},
      {"exit_status", base::or_null(report.exit_status)},
      {"tool_version", report.tool_version},
      {"profile", base::or_null(report.profile)},
      {"app", Value::object(
                  {{"path", base::or_null(report.app_path)}, {"sha256", base::or_null(report.app_sha256)}})},
      {"pid", report.pid},
      {"boot_id", report.boot_id},
      {"started", report.started},
      {"ended", base::or_null(report.ended)},
      {"log", Value::object({{"bytes", report.log_bytes},
                             {"truncated", report.log_truncated},
                             {"left_out", report.log_left_out}})},
      {"phases", phases_of(report)},
      {"warnings", Value::strings(report.warnings)},
      {"advice", Value::strings(report.advice)},
      {"signatures", report.signatures.is_null() ? Value::array() : report.signatures},
      {"error", error_of(report)},
      {"raw", report.raw},
      {"environment", report.environment.is_null() ? Value::object() : report.environment},
      {"checks", report.checks.is_null() ? Value::array() : report.checks},
      {"verify", report.verify},
  });
}

}  // namespace orch::evidence
