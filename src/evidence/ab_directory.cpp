#include "evidence/ab_directory.hpp"

#include "base/text.hpp"
#include "evidence/moments.hpp"
#include "evidence/redact.hpp"
#include "format/json.hpp"
#include "sys/file.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace orch::evidence {

namespace {

constexpr const char* k_ab_schema = "appimage-orch/ab/1";
constexpr const char* k_ab_file = "diff.json";

const Value::Array& list_of(const Value& document, std::string_view key) {
  static const Value::Array k_none;
  const Value* list = document.find(key);
  return list != nullptr && list->is_array() ? list->as_array() : k_none;
}

std::string variant_path(const std::string& directory, std::size_t number) {
  return fmt::format("{}/variant-{}", directory, number);
}

// What its runs say of when it began and ended, and of how: the last one is where it was interrupted.
void take_variants(RunSummary& out, std::size_t wanted, TimePoint now) {
  std::optional<TimePoint> end;
  for (std::size_t i = 1; i <= wanted && sys::exists(variant_path(out.path, i)); ++i) {
    const RunSummary run = read_run(variant_path(out.path, i), out.name, now, Parts::summary).summary;
    if (run.started && (!out.started || i == 1)) out.started = run.started;
    if (run.started && run.seconds)
      end = *run.started +
            std::chrono::duration_cast<TimePoint::duration>(std::chrono::duration<double>(*run.seconds));
    if (run.state == RunState::ended && run.outcome == "interrupted") {
      out.state = RunState::ended;
      out.signal = run.signal;
      out.exit_status = run.exit_status;
    }
  }
  if (out.state == RunState::running) end = now;
  if (out.started && end) out.seconds = std::chrono::duration<double>(*end - *out.started).count();
}

}  // namespace

Result<AbDirectory> AbDirectory::create(const Place& place) {
  ORCH_TRY(std::string path, make_directory(place));
  AbDirectory out(std::move(path));
  const std::string lock = out.path_ + k_ab_lock;
  ORCH_TRY(out.lock_, sys::open_file(lock, O_RDWR | O_CREAT | O_NOFOLLOW));
  ORCH_CHECK(lock_for_life(out.lock_.get(), lock));
  return out;
}

AbDirectory::~AbDirectory() {
  if (lock_) ::unlink((path_ + k_ab_lock).c_str());
}

std::string AbDirectory::variant(std::size_t number) const {
  return variant_path(path_, number);
}

Result<> AbDirectory::write(const Value& report) {
  return sys::write_atomic(path_ + "/" + k_ab_file, format::to_json(redact(report)));
}

bool is_ab_directory(const std::string& path) {
  const sys::Result<struct stat> info = sys::lstat_file(path);
  if (!info || !S_ISDIR(info->st_mode) || sys::exists(path + "/run.report.json")) return false;
  return load_document(path, k_ab_file, k_ab_schema).has_value();
}

Run read_ab(const std::string& path, const std::string& name, TimePoint now, Parts parts) {
  Run out;
  RunSummary& summary = out.summary;
  summary.path = path;
  summary.name = name;
  summary.app = name.starts_with('/') ? sys::file_name(path) : name.substr(0, name.find('/'));
  const bool live = is_running(path);
  Result<Value> document = load_document(path, k_ab_file, k_ab_schema);
  if (!document) {
    summary.problem = base::one_line(document.error());
    return out;
  }
  summary.app = document->string_or("profile", summary.app);
  const Value::Array& variants = list_of(*document, "variants");
  summary.variants = variants.size() + list_of(*document, "left_out").size();
  const bool whole = variants.size() == *summary.variants;
  if (live)
    summary.state = RunState::running;
  else
    summary.state = whole ? RunState::ended : RunState::killed;
  summary.outcome = live ? "running" : whole ? "compared" : "interrupted";
  if (whole)
    summary.exit_status = std::all_of(variants.begin(), variants.end(),
                                      [](const Value& item) { return item.int_or("exit_status", 1) == 0; })
                              ? 0
                              : 1;
  take_variants(summary, *summary.variants, now);
  if (summary.signal) summary.outcome = "interrupted";
  if (!summary.started) summary.started = parse_stamp(sys::file_name(path));
  if (parts == Parts::all) out.comparison = *std::move(document);
  return out;
}

}  // namespace orch::evidence
