#include "evidence/bench_directory.hpp"

#include "base/exit_status.hpp"
#include "base/text.hpp"
#include "evidence/moments.hpp"
#include "evidence/run_directory.hpp"
#include "sys/file.hpp"

#include <sys/stat.h>

namespace orch::evidence {

namespace {

constexpr const char* k_bench_schema = "appimage-orch/bench/1";
constexpr const char* k_bench_file = "bench.json";

}  // namespace

bool is_bench_directory(const std::string& path) {
  const sys::Result<struct stat> info = sys::lstat_file(path);
  if (!info || !S_ISDIR(info->st_mode) || sys::exists(path + "/run.report.json")) return false;
  return load_document(path, k_bench_file, k_bench_schema).has_value();
}

Run read_bench(const std::string& path, const std::string& name, TimePoint now, Parts parts) {
  Run out;
  RunSummary& summary = out.summary;
  summary.path = path;
  summary.name = name;
  summary.is_benchmark = true;
  summary.app = name.starts_with('/') ? sys::file_name(path) : name.substr(0, name.find('/'));
  Result<Value> document = load_document(path, k_bench_file, k_bench_schema);
  if (!document) {
    summary.problem = base::one_line(document.error());
    return out;
  }
  const bool live = is_running(path);
  const std::optional<TimePoint> ended = parse_moment(document->string_or("ended", ""));
  summary.app = document->string_or("profile", summary.app);
  summary.state = live ? RunState::running : ended ? RunState::ended : RunState::killed;
  const Value* stopped = document->find("stopped");
  const bool whole = ended && (stopped == nullptr || stopped->is_null());
  summary.outcome = live ? "running" : whole ? "measured" : "interrupted";
  if (const std::int64_t signal = document->int_or("signal", 0); signal > 0) {
    summary.signal = signal;
    summary.exit_status = base::k_signal_base + signal;
  }
  summary.started = parse_moment(document->string_or("started", ""));
  const std::optional<TimePoint> until = live ? std::optional(now) : ended;
  if (summary.started && until)
    summary.seconds = std::chrono::duration<double>(*until - *summary.started).count();
  if (parts == Parts::all) out.benchmark = *std::move(document);
  return out;
}

}  // namespace orch::evidence
